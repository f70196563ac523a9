//! The results as a text for people: medians, and how the mirror stands to each of the others.

use std::fmt::Write;

use crate::machine::Machine;
use crate::peer::ROADSTEAD;
use crate::results::{Figure, Results};

/// A Markdown text with a table for each figure.
pub(crate) fn render(machine: &Machine, results: &Results, failed: &[&str]) -> String {
    let mut text = machine.to_string();
    for figure in results.figures() {
        let direction = if figure.more_is_better {
            "more"
        } else {
            "less"
        };
        let (case, name) = (figure.case, figure.name);
        let _ = write!(text, "\n### {case}: {name} ({direction} is better)\n\n");
        text.push_str(&table(results, figure));
        let is_last = results.figures().into_iter().rfind(|it| it.case == case) == Some(figure);
        for note in results.notes(case).filter(|_| is_last) {
            let _ = write!(text, "\n{note}\n");
        }
    }
    for case in failed {
        let _ = write!(text, "\n**{case} could not be measured.**\n");
    }
    text
}

fn table(results: &Results, figure: Figure) -> String {
    let peers = results.peers(figure);
    let others: Vec<_> = peers.iter().filter(|peer| **peer != ROADSTEAD).collect();
    let mut text = String::from("| |");
    for peer in &peers {
        let _ = write!(text, " {peer} |");
    }
    for other in &others {
        let _ = write!(text, " ÷ {other} |");
    }
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(peers.len() + others.len()));
    let mut ratios = vec![Vec::new(); others.len()];
    let variants = results.variants(figure);
    for variant in &variants {
        let _ = write!(text, "| {variant} |");
        let of = |peer: &str| results.median(figure, variant, peer);
        for peer in &peers {
            let _ = write!(text, " {} |", of(peer).map_or("–".to_owned(), short));
        }
        for (other, ratios) in others.iter().zip(&mut ratios) {
            let ratio = of(ROADSTEAD).zip(of(other)).map(|(ours, its)| ours / its);
            ratios.extend(ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0));
            let _ = write!(text, " {} |", ratio.map_or("–".to_owned(), times));
        }
        text.push('\n');
    }
    if variants.len() > 1 && ratios.iter().any(|ratios| !ratios.is_empty()) {
        let _ = write!(text, "| geometric mean |{}", " |".repeat(peers.len()));
        for ratios in &ratios {
            let _ = write!(text, " {} |", mean(ratios).map_or("–".to_owned(), times));
        }
        text.push('\n');
    }
    text
}

/// The geometric mean, as ratios have it.
#[allow(clippy::cast_precision_loss, reason = "few")]
fn mean(ratios: &[f64]) -> Option<f64> {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (sum / ratios.len() as f64).exp())
}

/// A value with three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn times(ratio: f64) -> String {
    if ratio.is_finite() {
        format!("{ratio:.2}")
    } else {
        "–".to_owned()
    }
}
