//! `token`: create, list, show, verify, revoke.

use serde_json::Value;

use crate::cli::args::Format;
use crate::cli::args::Token;
use crate::cli::failed::Failed;
use crate::cli::output::Column;
use crate::cli::output::Show;
use crate::cli::output::column;
use crate::cli::world::World;
use crate::config::units::parse_duration;
use crate::control::client::Client;
use crate::control::protocol::Request;
use crate::control::protocol::TokenText;

/// Columns of `token list`.
const LIST: [Column; 8] = [
    column("ID", "/id", Show::Plain),
    column("DIRECTORY", "/directory", Show::Plain),
    column("SCOPE", "/scope", Show::Plain),
    column("STATE", "/state", Show::Plain),
    column("LABEL", "/label", Show::Plain),
    column("CREATED", "/created", Show::Relative("-")),
    column("EXPIRES", "/expires", Show::Relative("never")),
    column("LAST USED", "/last_used/at", Show::Relative("never")),
];

/// Lines of `token show`.
const SHOW: [Column; 11] = [
    column("Id", "/id", Show::Plain),
    column("Directory", "/directory", Show::Plain),
    column("Scope", "/scope", Show::Plain),
    column("State", "/state", Show::Plain),
    column("Label", "/label", Show::Plain),
    column("Created", "/created", Show::Plain),
    column("Expires", "/expires", Show::Plain),
    column("Rotate by", "/rotate_by", Show::Plain),
    column("Last used", "/last_used/at", Show::Plain),
    column("Last used from", "/last_used/from", Show::Plain),
    column("Revoked", "/revoked", Show::Plain),
];

/// Does what the verb says.
///
/// # Errors
///
/// Why it was not done.
pub fn run(verb: Token, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        Token::Create {
            directory,
            scope,
            label,
            expires,
        } => {
            let request = Request::TokenCreate {
                directory,
                scope: scope.name(),
                label,
                expires_after_s: parse_expires(&expires)?,
            };
            let created = client.call(&request)?;
            show_created(created, world)
        }
        Token::List { directory } => {
            let list = client.call(&Request::TokenList { directory })?;
            world.output.list("rollcall.token.list/1", &LIST, list)
        }
        Token::Show { id } => {
            let token = client.call(&Request::TokenShow { id })?;
            match world.output.format {
                Format::Json => world.output.json("rollcall.token.show/1", token),
                Format::Table => world.output.fields(&SHOW, &token),
            }
        }
        Token::Verify => verify(client, world),
        Token::Revoke { id, reason, yes } => revoke(id, reason, yes, client, world),
    }
}

/// Reads `--expires`: seconds, or `None` for never.
fn parse_expires(text: &str) -> Result<Option<u64>, Failed> {
    if text == "never" {
        return Ok(None);
    }
    match parse_duration(text) {
        Ok(duration) if duration.as_secs() > 0 => Ok(Some(duration.as_secs())),
        _ => Err(Failed::usage(
            &format!("--expires {text} is not understood"),
            "it takes a duration of a second or more, such as 12h, 90d or 52w, or never",
            "--expires 90d",
        )),
    }
}

/// Prints a token that was made: the only time it is seen. The two values that are pasted into
/// the identity provider stand on lines of their own.
fn show_created(created: Value, world: &mut World<'_>) -> Result<(), Failed> {
    let output = &mut world.output;
    if output.format == Format::Json {
        return output.json("rollcall.token.create/1", created);
    }
    let part = |name: &str| created.get(name).and_then(Value::as_str).unwrap_or("-");
    output.line("Tenant URL")?;
    output.line(part("tenant_url"))?;
    output.line("Secret Token")?;
    output.line(part("token"))?;
    let until = match created.get("expires").and_then(Value::as_str) {
        Some(expires) => format!("works until {expires}"),
        None => "does not expire".to_owned(),
    };
    output.say(&format!(
        "Token {} ({}) {until}. It is shown this once; Rollcall keeps no readable copy.",
        part("id"),
        part("scope")
    ))
}

/// `token verify`: the token comes over standard input, since arguments are seen by everybody.
fn verify(client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    if world.interactive {
        world.output.ask("Paste the token, then Enter: ")?;
    }
    let text = world.read_line()?;
    if text.is_empty() {
        return Err(Failed::usage(
            "no token on standard input",
            "a token is not given as an argument, because other users of the machine see those",
            "rollcall token verify < file-with-the-token",
        ));
    }
    let token = TokenText::new(text);
    let verdict = client.call(&Request::TokenVerify { token })?;
    let valid = verdict.get("valid") == Some(&Value::Bool(true));
    let output = &mut world.output;
    if output.format == Format::Json {
        output.json("rollcall.token.verify/1", verdict)?;
    } else if valid {
        output.line("the token is accepted")?;
        output.fields(&SHOW, verdict.get("token").unwrap_or(&Value::Null))?;
    } else {
        let part = |name: &str| verdict.get(name).and_then(Value::as_str);
        output.line("the token is refused")?;
        for (title, name) in [
            ("id", "id"),
            ("reason", "reason"),
            ("why", "why"),
            ("fix", "fix"),
        ] {
            if let Some(text) = part(name) {
                let title = format!("{title}:");
                output.line(&format!("  {title:8}{text}"))?;
            }
        }
    }
    if valid { Ok(()) } else { Err(Failed::Found) }
}

/// `token revoke`
fn revoke(
    id: String,
    reason: Option<String>,
    yes: bool,
    client: &Client,
    world: &mut World<'_>,
) -> Result<(), Failed> {
    let mut id = id;
    if world.must_ask(yes, &format!("revoking token {id}"))? {
        let token = client.call(&Request::TokenShow { id: id.clone() })?;
        let part = |name: &str| token.get(name).and_then(Value::as_str);
        // What was typed may be the beginning only; what is revoked must be what was shown.
        id = part("id").unwrap_or(&id).to_owned();
        world.output.fields(&SHOW, &token)?;
        world.confirm(
            "Whoever uses this token is refused from now on. It cannot be undone.",
            &id,
        )?;
    }
    let revoked = client.call(&Request::TokenRevoke { id, reason })?;
    if world.output.format == Format::Json {
        return world.output.json("rollcall.token.revoke/1", revoked);
    }
    let id = revoked.get("id").and_then(Value::as_str).unwrap_or("-");
    let already = revoked.get("changed") == Some(&Value::Bool(false));
    let word = if already { "was already" } else { "is" };
    world.output.line(&format!("token {id} {word} revoked"))
}
