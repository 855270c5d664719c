//! The recordings under `tests/recordings/`: what WordPress with WP Fusion did, one scenario a file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bento::Account;

/// A scenario with the base that it was recorded on.
pub struct Recording {
    /// Folder and scenario, such as `add_full` or `wp61/add_full`.
    pub name: String,
    pub json: Value,
    pub base: Base,
}

/// The rows and settings of a site before anything happened.
#[derive(Clone)]
pub struct Base {
    pub json: Value,
}

impl Base {
    /// The base of a folder: `""`, `"newest"`, `"wp61"`, `"wp71"`.
    pub fn load(folder: &str) -> Base {
        Base {
            json: read(&root().join(folder).join("_base.json")),
        }
    }

    /// Release of WordPress, such as `6.8.12`.
    pub fn release(&self) -> &str {
        self.json["peer"]["wordpress"].as_str().unwrap()
    }

    /// What WordPress writes for options that are not loaded at start.
    pub fn autoload_off(&self) -> &'static str {
        if self.json["options_autoload"]["siteurl"] == "yes" {
            "no"
        } else {
            "off"
        }
    }

    /// The webhook key of the site.
    pub fn access_key(&self) -> &str {
        self.json["access_key"].as_str().unwrap()
    }

    /// The account that the stand-in Bento accepts.
    pub fn account(&self) -> Account {
        let part = |index: usize| {
            self.json["bento_credentials"][index]
                .as_str()
                .unwrap()
                .to_string()
        };
        Account {
            publishable_key: part(0),
            secret_key: part(1),
            site_uuid: part(2),
        }
    }

    /// Bento's tags as pairs of id and name.
    pub fn tags(&self) -> Vec<(&str, &str)> {
        let tags = self.json["bento_tags"].as_object().unwrap();
        tags.iter()
            .map(|(id, name)| (id.as_str(), name.as_str().unwrap()))
            .collect()
    }
}

impl Recording {
    /// Loads a scenario by folder and name, such as `wp61/add_full`.
    pub fn load(name: &str) -> Recording {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let json = read(&root().join(format!("{name}.json")));
        Recording {
            name: name.to_string(),
            json,
            base: Base::load(folder),
        }
    }

    /// Names of all scenarios, the bases left out.
    pub fn all() -> Vec<String> {
        let mut names: Vec<String> = ["", "newest/", "wp61/", "wp71/"]
            .iter()
            .flat_map(|folder| {
                json_files(&root().join(folder))
                    .into_iter()
                    .map(move |file| format!("{folder}{file}"))
            })
            .filter(|name| !name.ends_with("_base"))
            .collect();
        names.sort();
        names
    }

    /// The scenario without its folder.
    pub fn scenario(&self) -> &str {
        self.name.rsplit('/').next().unwrap()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn json_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries
        .filter_map(|name| name.strip_suffix(".json").map(str::to_string))
        .collect()
}

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    expand(&mut json);
    json
}

/// Long repetitions are stored as `<x × 5000>`.
fn expand(value: &mut Value) {
    match value {
        Value::String(text) => *text = expand_text(text),
        Value::Array(list) => list.iter_mut().for_each(expand),
        Value::Object(map) => map.values_mut().for_each(expand),
        _ => {}
    }
}

fn expand_text(text: &str) -> String {
    let Some(middle) = text.find(" × ") else {
        return text.to_string();
    };
    let (before, after) = (&text[..middle], &text[middle + " × ".len()..]);
    let (Some(open), Some(close)) = (before.rfind('<'), after.find('>')) else {
        return text.to_string();
    };
    let Ok(count) = after[..close].parse::<usize>() else {
        return text.to_string();
    };
    let repeated = before[open + 1..].repeat(count);
    format!(
        "{}{repeated}{}",
        &before[..open],
        expand_text(&after[close + 1..])
    )
}
