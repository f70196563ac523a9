//! The results as a text for people: medians, and how the mirror stands to each of the others.

use std::fmt::Write;

use crate::machine::Machine;
use crate::peer::ROADSTEAD;
use crate::results::{Figure, Results};

/// A Markdown text with a table for each figure, below the [summary].
pub(crate) fn render(summary: &str, results: &Results, failed: &[&str]) -> String {
    let mut text = summary.to_owned();
    for figure in results.figures() {
        let direction = figure.better();
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

/// How the mirror stands to each of the others in each figure: a table of the geometric means.
pub(crate) fn summary(machine: &Machine, results: &Results) -> String {
    let mut others: Vec<&str> = Vec::new();
    for peer in results
        .figures()
        .into_iter()
        .flat_map(|figure| results.peers(figure))
    {
        if peer != ROADSTEAD && !others.contains(&peer) {
            others.push(peer);
        }
    }
    let mut text = format!("{machine}\n| roadstead ÷ |");
    for other in &others {
        let _ = write!(text, " {other} |");
    }
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(others.len()));
    for figure in results.figures() {
        let means = others
            .iter()
            .map(|other| mean(&ratios(results, figure, other)));
        let means: Vec<_> = means.collect();
        // Where all have nought there is no ratio.
        if means.iter().all(Option::is_none) {
            continue;
        }
        let better = figure.better();
        let _ = write!(text, "| {}: {} ({better}) |", figure.case, figure.name);
        for mean in means {
            let _ = write!(text, " {} |", mean.map_or("–".to_owned(), times));
        }
        text.push('\n');
    }
    text
}

/// The mirror's medians over those of another, for each variant that both have.
fn ratios(results: &Results, figure: Figure, other: &str) -> Vec<f64> {
    let variants = results.variants(figure).into_iter();
    let ratio = |variant| {
        let of = |peer| results.median(figure, variant, peer);
        Some(of(ROADSTEAD)? / of(other)?)
    };
    let ratios = variants.filter_map(ratio);
    ratios
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .collect()
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
    let variants = results.variants(figure);
    for variant in &variants {
        let _ = write!(text, "| {variant} |");
        let of = |peer: &str| results.median(figure, variant, peer);
        for peer in &peers {
            let _ = write!(text, " {} |", of(peer).map_or("–".to_owned(), short));
        }
        for other in &others {
            let ratio = of(ROADSTEAD).zip(of(other)).map(|(ours, its)| ours / its);
            let _ = write!(text, " {} |", ratio.map_or("–".to_owned(), times));
        }
        text.push('\n');
    }
    let means: Vec<_> = others
        .iter()
        .map(|other| mean(&ratios(results, figure, other)))
        .collect();
    if variants.len() > 1 && means.iter().any(Option::is_some) {
        let _ = write!(text, "| geometric mean |{}", " |".repeat(peers.len()));
        for mean in means {
            let _ = write!(text, " {} |", mean.map_or("–".to_owned(), times));
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
