//! Comparing strings without regard to case (RFC 7643 §2.2 `caseExact`, RFC 8265).

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The form in which two strings that differ only in case or in Unicode composition are equal:
/// width mapping (RFC 8265 §3.3.1), NFC, full case folding, NFC again. Independent of any locale;
/// `Straße` and `STRASSE` fold alike.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let text: String = text.chars().flat_map(usual_width).collect();
    text.nfc().default_case_fold().nfc().collect()
}

/// A letter of full or half width as the usual one: East Asian keyboards make both.
fn usual_width(c: char) -> impl Iterator<Item = char> {
    let other_width = matches!(c, '\u{3000}' | '\u{ff00}'..='\u{ffef}');
    let usual = other_width.then(|| c.nfkc());
    let same = usual.is_none().then_some(c);
    usual.into_iter().flatten().chain(same)
}

/// Whether a character cannot be seen and may change how others look: controls, marks of direction,
/// separators of lines, what has no width. Joiners are not among them: scripts and emoji need them.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use crate::scim::text::fold;

    #[test]
    fn case_and_composition_do_not_matter() {
        for (left, right) in [
            ("Mara", "mARA"),
            ("Straße", "STRASSE"),
            ("Ume\u{e5}", "UMEA\u{30a}"),
            ("Ｍａｒａ＠x", "mara@X"),
            ("\u{ff76}\u{ff9e}", "\u{30ac}"),
        ] {
            assert_eq!(fold(left), fold(right), "{left} {right}");
        }
    }

    #[test]
    fn other_letters_stay_apart() {
        for (left, right) in [("a", "b"), ("I", "ı"), ("Ⅷ", "viii"), ("ae", "æ")] {
            assert_ne!(fold(left), fold(right), "{left} {right}");
        }
    }
}
