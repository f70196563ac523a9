//! Which images are meant: lists, compose files, Kubernetes manifests. Pure.

use serde_json::Value;

use crate::config::references;

/// Everything that a text of any kind may name: the parsers alone, for who tries them on any text.
#[doc(hidden)]
pub fn reads_as_lists(text: &str) -> usize {
    let variable = |name: &str| (name == "TAG").then(|| "1".to_owned());
    let composed = of_compose(text, &variable).unwrap_or_default();
    references(text).len() + composed.len() + of_kubernetes(text).unwrap_or_default().len()
}

/// The images of a compose file: `services.*.image`, with variables put in. Services that are built have none.
pub(super) fn of_compose(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, String> {
    let mut images = Vec::new();
    for document in documents(text)? {
        let services = document.get("services").and_then(Value::as_object);
        for (name, service) in services.into_iter().flatten() {
            if let Some(image) = service.get("image").and_then(Value::as_str) {
                let image = interpolated(image, variable);
                images.push(image.map_err(|why| format!("services.{name}.image: {why}"))?);
            }
        }
    }
    Ok(images)
}

/// Where Kubernetes keeps containers, in whatever kind.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// The images of Kubernetes manifests: those of all containers in documents of any kind.
pub(super) fn of_kubernetes(text: &str) -> Result<Vec<String>, String> {
    let mut images = Vec::new();
    for document in documents(text)? {
        collect(&document, &mut images);
    }
    Ok(images)
}

fn collect(value: &Value, images: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let containers = CONTAINERS.contains(&name.as_str());
                for container in field
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|_| containers)
                {
                    let image = container.get("image").and_then(Value::as_str);
                    images.extend(image.map(str::to_owned));
                }
                collect(field, images);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, images)),
        _ => {}
    }
}

/// The documents of a YAML stream (JSON is YAML).
fn documents(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| error.to_string())
}

/// A text with its variables put in, as compose does: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, and `$$`.
fn interpolated(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            result.push('$');
            rest = behind;
            continue;
        }
        let (inside, left) = if let Some(braced) = behind.strip_prefix('{') {
            braced.split_once('}').ok_or("a ${ without a }")?
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = behind.find(|c| !is_name(c)).unwrap_or(behind.len());
            behind.split_at(end)
        };
        rest = left;
        result.push_str(&put_in(inside, variable)?);
    }
    result.push_str(rest);
    Ok(result)
}

fn put_in(inside: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default, empty_counts) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default), false),
        None => match inside.split_once('-') {
            Some((name, default)) => (name, Some(default), true),
            None => (inside, None, true),
        },
    };
    let value = variable(name).filter(|value| empty_counts || !value.is_empty());
    value
        .or_else(|| default.map(str::to_owned))
        .ok_or_else(|| format!("the variable {name} is not set"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_images_of_services_are_found_with_their_variables() {
        let text = "services:\n  web:\n    image: nginx:${TAG:-1.27}\n  db:\n    image: \"$REGISTRY/postgres\"\n  own:\n    build: .\n";
        let variable = |name: &str| (name == "REGISTRY").then(|| "ghcr.io".to_owned());
        let images = of_compose(text, &variable).unwrap();
        assert_eq!(images.len(), 2);
        assert!(images.contains(&"nginx:1.27".to_owned()));
        assert!(images.contains(&"ghcr.io/postgres".to_owned()));
        let error = of_compose(text, &|_| None).unwrap_err();
        assert_eq!(error, "services.db.image: the variable REGISTRY is not set");
        assert_eq!(interpolated("a$$b${X-}", &|_| None).unwrap(), "a$b");
    }

    #[test]
    fn the_images_of_all_containers_of_any_kind_are_found() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      initContainers:\n      - {name: i, image: busybox}\n      containers:\n      - name: c\n        image: nginx:1\n---\nkind: List\nitems:\n- kind: CronJob\n  spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: \"alpine:3\"}]}}}}}\n---\n# nothing\n---\nimage: none-of-a-container\n";
        let mut images = of_kubernetes(text).unwrap();
        images.sort();
        assert_eq!(images, ["alpine:3", "busybox", "nginx:1"]);
    }

    #[test]
    fn what_is_no_yaml_is_refused_and_what_would_grow_without_end_too() {
        assert!(of_kubernetes("{{ .Values.image }}: [").is_err());
        let rows = (1..12).map(|nth| {
            let before = format!("*a{}", nth - 1);
            format!("a{nth}: &a{nth} [{}]\n", vec![before; 10].join(","))
        });
        let bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned() + &rows.collect::<String>();
        assert!(of_kubernetes(&bomb).is_err());
    }
}
