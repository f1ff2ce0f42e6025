//! `config check` and `config show`.

use serde_json::Value;
use serde_json::json;

use crate::cli::args::ConfigSources;
use crate::cli::args::ConfigVerb;
use crate::cli::args::Format;
use crate::cli::failed::Failed;
use crate::cli::output::Column;
use crate::cli::output::Show;
use crate::cli::output::column;
use crate::cli::world::World;
use crate::config::Config;
use crate::config::Entry;
use crate::config::error::Origin;
use crate::config::error::Problem;
use crate::config::error::Problems;
use crate::config::load;
use crate::config::load::Sources;

/// Does what the verb says.
///
/// # Errors
///
/// When the configuration is wrong.
pub fn run(verb: &ConfigVerb, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        ConfigVerb::Check { file, sources } => {
            let sources = ConfigSources {
                config: file.clone().or_else(|| sources.config.clone()),
                set: sources.set.clone(),
            };
            check(&sources, world)
        }
        ConfigVerb::Show {
            effective,
            origin,
            sources,
        } => {
            let config = load(sources, world)?;
            show(&config, *effective, *origin, world)
        }
    }
}

/// Reads the configuration.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load(sources: &ConfigSources, world: &World<'_>) -> Result<Config, Problems> {
    load::load(&Sources {
        file: sources.config.clone(),
        environment: world.environment.clone(),
        flags: sources.set.clone(),
        hostname: world.hostname.clone(),
    })
}

/// `config check`: what is wrong is data, and goes to standard output.
fn check(sources: &ConfigSources, world: &mut World<'_>) -> Result<(), Failed> {
    let (problems, notices) = match load(sources, world) {
        Ok(config) => (Vec::new(), config.notices().to_vec()),
        Err(Problems(problems)) => (problems, Vec::new()),
    };
    let output = &mut world.output;
    if output.format == Format::Json {
        let problems: Vec<Value> = problems.iter().map(problem).collect();
        let value = json!({"ok": problems.is_empty(), "problems": problems, "notices": notices});
        output.json("rollcall.config.check/1", value)?;
    } else {
        for problem in &problems {
            output.line(&problem.to_string())?;
        }
        for notice in &notices {
            output.line(&format!("note: {notice}"))?;
        }
        if problems.is_empty() {
            output.line("the configuration can be used")?;
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failed::Found)
    }
}

/// A problem for programs.
fn problem(problem: &Problem) -> Value {
    let mut value = json!({"origin": problem.origin.to_string(), "text": problem.text});
    if let (Origin::File { path, line, column }, Some(members)) =
        (&problem.origin, value.as_object_mut())
    {
        members.insert("file".to_owned(), json!(path.to_string_lossy()));
        members.insert("line".to_owned(), json!(line));
        members.insert("column".to_owned(), json!(column));
    }
    value
}

/// `config show`
fn show(
    config: &Config,
    effective: bool,
    origin: bool,
    world: &mut World<'_>,
) -> Result<(), Failed> {
    const COLUMNS: [Column; 3] = [
        column("KEY", "/key", Show::Plain),
        column("VALUE", "/shown", Show::Plain),
        column("ORIGIN", "/origin", Show::Plain),
    ];
    let shown = config
        .entries()
        .iter()
        .filter(|entry| effective || entry.origin != Origin::Default);
    let output = &mut world.output;
    if output.format == Format::Json {
        let items: Vec<Value> = shown.map(|entry| item(entry, origin)).collect();
        let value = json!({"items": items, "next": null});
        return output.json("rollcall.config.show/1", value);
    }
    // A key without a value has nothing to show but its name.
    let shown = shown.filter(|entry| entry.value.is_some());
    if origin {
        let items: Vec<Value> = shown
            .map(|entry| {
                json!({
                    "key": entry.key,
                    "shown": entry.value,
                    "origin": entry.origin.to_string(),
                })
            })
            .collect();
        return output.table(&COLUMNS, &items);
    }
    // Without origins the lines could stand in a file.
    for entry in shown {
        let value = entry.value.as_deref().unwrap_or_default();
        output.line(&format!("{} = {value}", entry.key))?;
    }
    Ok(())
}

/// A key for programs.
fn item(entry: &Entry, origin: bool) -> Value {
    let value = entry.value.as_deref();
    let value: Value = value.map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_default()
    });
    let mut item = json!({"key": entry.key, "value": value});
    if let (true, Some(members)) = (origin, item.as_object_mut()) {
        members.insert("origin".to_owned(), json!(entry.origin.to_string()));
    }
    item
}
