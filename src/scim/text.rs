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

/// Whether a character cannot be seen and may change how others look, or make one name look like
/// another: controls, marks of direction, separators of lines, what has no width, fillers, tags, what
/// is no character. Joiners are not among them: scripts and emoji need them.
pub fn is_invisible(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || code & 0xfffe == 0xfffe
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}'
            | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use crate::scim::text::fold;
    use crate::scim::text::is_invisible;

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

    #[test]
    fn what_nobody_sees_is_told_from_what_scripts_need() {
        for c in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{1160}',
            '\u{200b}',
            '\u{200f}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{3164}',
            '\u{fdd0}',
            '\u{feff}',
            '\u{ffff}',
            '\u{1fffe}',
            '\u{e0041}',
        ] {
            assert!(is_invisible(c), "{c:?}");
        }
        // Names of guests, of people with accents that stand alone, and in scripts that join letters.
        for c in " #@.'+_-å\u{30a}\u{200c}\u{200d}葛\u{e0100}漢한😀\u{fe0f}\u{a0}\u{3000}".chars()
        {
            assert!(!is_invisible(c), "{c:?}");
        }
    }
}
