//! `status`: one screen about the running rollcall, what needs attention last, where eyes rest.

use serde_json::Value;

use crate::cli::args::Format;
use crate::cli::directory::LIST;
use crate::cli::failed::Failed;
use crate::cli::output::elapsed;
use crate::cli::world::World;
use crate::control::client::Client;
use crate::control::protocol::Request;

/// Shows how the running rollcall is.
///
/// # Errors
///
/// When it cannot be asked.
pub fn status(client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    let status = client.call(&Request::Status {})?;
    let output = &mut world.output;
    if output.format == Format::Json {
        return output.json("rollcall.status/1", status);
    }
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let uptime_s = i64::try_from(number("/uptime_s")).unwrap_or(i64::MAX);
    output.line(&format!(
        "rollcall {}, up {} (since {})",
        text("/version").unwrap_or("-"),
        elapsed(uptime_s.saturating_mul(1000)).unwrap_or_else(|| "0 seconds".to_owned()),
        text("/started").unwrap_or("-")
    ))?;
    let writable = status.pointer("/store/writable") == Some(&Value::Bool(true));
    let writes = match text("/store/reason") {
        _ if writable => "takes writes".to_owned(),
        Some(reason) => format!("takes no writes: {reason}"),
        None => "takes no writes".to_owned(),
    };
    output.line(&format!(
        "store: {writes}; {} users, {} groups; log {}, state {}, free {}",
        number("/store/users"),
        number("/store/groups"),
        amount(number("/store/log_bytes")),
        amount(number("/store/state_bytes")),
        amount(number("/store/free_bytes"))
    ))?;
    output.line(&format!(
        "tokens: {} live, {} expired, {} revoked",
        number("/tokens/live"),
        number("/tokens/expired"),
        number("/tokens/revoked")
    ))?;
    let list = |pointer: &str| status.pointer(pointer).and_then(Value::as_array);
    if let Some(directories) = list("/directories").filter(|list| !list.is_empty()) {
        output.line("")?;
        output.table(&LIST, directories)?;
    }
    for warning in list("/warnings").into_iter().flatten() {
        let part = |name: &str| warning.get(name).and_then(Value::as_str).unwrap_or("-");
        output.line("")?;
        output.line(&format!("attention: {}", part("what")))?;
        output.line(&format!("  fix: {}", part("fix")))?;
    }
    Ok(())
}

/// A number of bytes for people: a whole number of the largest unit of which there are ten.
pub fn amount(bytes: u64) -> String {
    let mut left = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if left < 10 * 1024 {
            return format!("{left} {unit}");
        }
        left /= 1024;
    }
    format!("{left} TiB")
}
