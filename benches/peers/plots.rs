//! The medians as bars, a picture for each figure.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::peer::{DISTRIBUTION, DRAYAGE, NGINX, ROADSTEAD};
use crate::results::{Figure, Results};
use crate::table::short;

const SIZE: (u32, u32) = (960, 420);
/// How much wider than the bars the picture is: the names of the peers stand beside them.
const LEGEND: f64 = 1.18;
/// Above this share of the largest to the smallest bar, bars grow with the logarithm.
const WIDE: f64 = 30.0;

/// The colour of a peer, the same in every picture.
fn colour(peer: &str) -> RGBColor {
    match peer {
        ROADSTEAD => RGBColor(0, 90, 160),
        NGINX => RGBColor(230, 140, 20),
        DISTRIBUTION => RGBColor(140, 140, 140),
        DRAYAGE => RGBColor(60, 150, 90),
        _ => RGBColor(40, 40, 40),
    }
}

/// Draws a picture for each figure into `folder`, named after case and place of the figure in it.
pub(crate) fn draw(folder: &Path, results: &Results) {
    let mut places = std::collections::BTreeMap::new();
    for figure in results.figures() {
        let place = places.entry(figure.case).or_insert(0);
        *place += 1;
        let file = folder.join(format!("{}-{place}.svg", figure.case));
        let drawn = bars(
            &SVGBackend::new(&file, SIZE).into_drawing_area(),
            results,
            figure,
        );
        drawn.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// A bar's height, and what it says: bars of very different size grow with the logarithm.
struct Scale {
    /// The logarithm of the value at the foot; `None` for a scale that begins at zero.
    foot: Option<f64>,
    top: f64,
}

impl Scale {
    fn of(values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|value| *value > 0.0);
        let largest = positive().fold(f64::MIN_POSITIVE, f64::max);
        let smallest = positive().fold(largest, f64::min);
        let foot = (largest / smallest > WIDE).then(|| (smallest.log10() - 0.2).floor());
        let top = foot.map_or(largest * 1.12, |_| largest.log10() + 0.2);
        Self { foot, top }
    }

    fn bottom(&self) -> f64 {
        self.foot.unwrap_or(0.0)
    }

    fn height(&self, value: f64) -> f64 {
        match self.foot {
            Some(foot) if value > 0.0 => value.log10().max(foot),
            Some(foot) => foot,
            None => value,
        }
    }

    /// What stands at the axis: with a logarithm, the powers of ten only.
    fn label(&self, height: f64) -> String {
        match self.foot {
            Some(_) if (height - height.round()).abs() > 0.01 => String::new(),
            Some(_) => format!("{}", 10_f64.powf(height.round())),
            None => short(height),
        }
    }
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

#[allow(clippy::cast_precision_loss, reason = "few bars")]
fn bars(area: &DrawingArea<SVGBackend<'_>, Shift>, results: &Results, figure: Figure) -> Drawn {
    let (peers, variants) = (results.peers(figure), results.variants(figure));
    let value = |variant: &str, peer: &str| results.median(figure, variant, peer);
    let each = variants
        .iter()
        .flat_map(|variant| peers.iter().map(|peer| value(variant, peer)));
    let scale = Scale::of(&each.flatten().collect::<Vec<_>>());
    let better = figure.better();
    let logarithm = scale.foot.map_or("", |_| "; logarithmic");
    let title = format!(
        "{}: {} ({better} is better{logarithm})",
        figure.case.replace('_', " "),
        figure.name
    );

    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(26)
        .y_label_area_size(56)
        .build_cartesian_2d(
            0.0..variants.len() as f64 * LEGEND,
            scale.bottom()..scale.top,
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_label_formatter(&|height| scale.label(*height))
        .label_style(("sans-serif", 12))
        .light_line_style(WHITE)
        .draw()?;
    let width = 0.84 / peers.len() as f64;
    let small = ("sans-serif", 11).into_font();
    for (at, peer) in peers.iter().enumerate() {
        let colour = colour(peer);
        let bar = |group: usize, height: f64| {
            let left = group as f64 + 0.08 + width * at as f64;
            Rectangle::new(
                [(left, scale.bottom()), (left + width, height)],
                colour.filled(),
            )
        };
        let values = variants.iter().enumerate();
        let values: Vec<_> = values
            .filter_map(|(group, variant)| Some((group, value(variant, peer)?)))
            .collect();
        chart
            .draw_series(
                values
                    .iter()
                    .map(|(group, value)| bar(*group, scale.height(*value))),
            )?
            .label(*peer)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled()));
        for (group, value) in values {
            let middle = group as f64 + 0.08 + width * (at as f64 + 0.5);
            let (x, y) = chart.backend_coord(&(middle, scale.height(value)));
            let style = small.clone().color(&BLACK).pos(anchor(VPos::Bottom));
            area.draw(&Text::new(short(value), (x, y - 2), style))?;
        }
    }
    for (group, variant) in variants.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(group as f64 + 0.5, scale.bottom()));
        let style = ("sans-serif", 12)
            .into_font()
            .color(&BLACK)
            .pos(anchor(VPos::Top));
        area.draw(&Text::new((*variant).to_owned(), (x, y + 8), style))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 12))
        .draw()?;
    area.present()?;
    Ok(())
}

fn anchor(vertical: VPos) -> Pos {
    Pos::new(HPos::Center, vertical)
}
