//! `AUTH_BRIDGE_OPTIONS`: the options of the bridge of the module's own functions, as JSON.

use std::fs;

use napi::Env;

use super::module::module;
use super::{options, settle};
use crate::config::{Environment, OPTIONS_VARIABLE, Options};
use crate::error::Error;
use crate::sensitive::Sensitive;

/// Read once for each value of the variable, since requests without a session cookie make no bridge.
///
/// # Errors
/// Name the option and the variable, and show no value.
pub fn read(env: &Env, environment: &impl Environment) -> Result<Options, Error> {
    let Some(value) = environment.variable(OPTIONS_VARIABLE) else {
        return Ok(Options::default());
    };
    if let Some((of, options)) = &module(env)?.default_options
        && *of == value
    {
        return Ok(options.clone());
    }
    let options = parse(env, json_of(value.clone())?)?;
    module(env)?.default_options = Some((value, options.clone()));
    Ok(options)
}

fn parse(env: &Env, json: Sensitive) -> Result<Options, Error> {
    // The engine's own message would quote the text.
    let object = settle::unless_thrown(env, settle::parsed(env, &json))
        .ok_or_else(|| Error::config(OPTIONS_VARIABLE, "is not valid JSON"))?;
    let options = options::parse(object).map_err(in_variable)?;
    Ok(Options { are_in_variable: true, ..options })
}

/// The value itself, or the contents of the file that it names.
fn json_of(value: Sensitive) -> Result<Sensitive, Error> {
    let path = value.trim();
    if path.starts_with('{') {
        return Ok(value);
    }
    fs::read_to_string(path).map(Sensitive::from).map_err(|cause| {
        let expected = "must be JSON text that begins with {, or the path of a JSON file";
        Error::config(OPTIONS_VARIABLE, format!("{expected}; there is no such file that can be read: {cause}"))
    })
}

fn in_variable(error: Error) -> Error {
    match error {
        Error::Config { name, problem } if name == "options" => Error::config(OPTIONS_VARIABLE, problem),
        Error::Config { name, problem } => Error::config(format!("{name} in {OPTIONS_VARIABLE}"), problem),
        other => other,
    }
}
