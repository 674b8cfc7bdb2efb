// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How costs grow: small plots side by side, both axes logarithmic, as one SVG picture.
//!
//! On such axes a cost that grows in proportion rises by one decade per decade; the dashed line in each plot does so.

use std::fmt::Write;
use std::ops::Range;

use crate::figures::Unit;

const COLUMNS: usize = 3;
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 250.0;
/// Around the axes of one plot: left, right, top, bottom.
const MARGINS: [f64; 4] = [64.0, 16.0, 34.0, 38.0];

/// What one plot shows: a cost at each of a row of numbers, both ascending.
pub struct Plot {
    pub title: &'static str,
    /// What there are ever more of.
    pub of: &'static str,
    pub unit: Unit,
    pub stock: Vec<(f64, f64)>,
    pub ours: Vec<(f64, f64)>,
}

/// The picture of all plots.
#[must_use]
pub fn draw(plots: &[Plot]) -> String {
    let columns = COLUMNS as f64;
    let (width, height) = (WIDTH * columns, HEIGHT * plots.len().div_ceil(COLUMNS) as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<style>\n\
         .stock{{stroke:#b45309;fill:#b45309}} .ours{{stroke:#1d4ed8;fill:#1d4ed8}}\n\
         polyline{{fill:none!important;stroke-width:2}} text{{stroke:none!important;fill:#333}}\n\
         .grid{{stroke:#ddd}} .slope{{stroke:#999;stroke-dasharray:4 4}}\n</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (index, plot) in plots.iter().enumerate() {
        let (x, y) = ((index % COLUMNS) as f64 * WIDTH, (index / COLUMNS) as f64 * HEIGHT);
        // Writing into a text does not fail.
        let _ = write!(svg, "<g transform=\"translate({x} {y})\">\n{}</g>\n", one(plot));
    }
    svg + "</svg>\n"
}

/// An axis: the decades that it spans, and the pixels from the lowest to the highest.
struct Axis {
    decades: Range<i32>,
    pixels: Range<f64>,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, pixels: Range<f64>) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil();
        Self { decades: low as i32..(high as i32).max(low as i32 + 1), pixels }
    }

    fn at(&self, value: f64) -> f64 {
        let Range { start, end } = self.decades;
        let share = (value.log10() - f64::from(start)) / f64::from(end - start);
        self.pixels.start + share * (self.pixels.end - self.pixels.start)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.decades.start..=self.decades.end).map(|decade| 10_f64.powi(decade))
    }
}

fn one(plot: &Plot) -> String {
    let [left, right, top, bottom] = MARGINS;
    let (right, bottom) = (WIDTH - right, HEIGHT - bottom);
    let all = plot.stock.iter().chain(&plot.ours);
    let x = Axis::over(all.clone().map(|point| point.0), left..right);
    let y = Axis::over(all.map(|point| point.1), bottom..top);
    let mut svg = String::new();
    let mut put = |text: std::fmt::Arguments<'_>| {
        // Writing into a text does not fail.
        let _ = writeln!(svg, "{text}");
    };
    put(format_args!("<text x=\"{left}\" y=\"18\" font-size=\"13\">{}</text>", plot.title));
    for tick in x.ticks() {
        let at = x.at(tick);
        put(format_args!("<path class=\"grid\" d=\"M{at:.1} {top}V{bottom}\"/>"));
        let (y, name) = (bottom + 14.0, if tick < 1000.0 { "" } else { ",000" });
        let digits = if name.is_empty() { tick } else { tick / 1000.0 };
        put(format_args!(
            "<text x=\"{at:.1}\" y=\"{y}\" text-anchor=\"middle\">{digits}{name}</text>"
        ));
    }
    for tick in y.ticks() {
        let (at, name) = (y.at(tick), plot.unit.shown(tick));
        put(format_args!("<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>"));
        let (x, y) = (left - 5.0, at + 4.0);
        put(format_args!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>"));
    }
    let middle = f64::midpoint(left, right);
    let under = bottom + 30.0;
    put(format_args!(
        "<text x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">{}</text>",
        plot.of
    ));
    // In proportion, through the lower left corner.
    let rise = x.decades.len().min(y.decades.len()) as i32;
    let (far, high) = (10_f64.powi(x.decades.start + rise), 10_f64.powi(y.decades.start + rise));
    let (far, high) = (x.at(far), y.at(high));
    put(format_args!("<path class=\"slope\" d=\"M{left} {bottom}L{far:.1} {high:.1}\"/>"));
    for (class, points) in [("stock", &plot.stock), ("ours", &plot.ours)] {
        let places: Vec<_> = points.iter().map(|&(n, cost)| (x.at(n), y.at(cost))).collect();
        let line: String = places.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
        put(format_args!("<g class=\"{class}\"><polyline points=\"{}\"/>", line.trim_end()));
        for (x, y) in &places {
            put(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"));
        }
        if let Some((x, y)) = places.first() {
            let (x, y) = (x + 6.0, y - 6.0);
            put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{class}</text>"));
        }
        put(format_args!("</g>"));
    }
    svg
}
