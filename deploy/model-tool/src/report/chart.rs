//! Line charts as SVG.

use std::fmt::Write as _;

use faceline_models::evaluation::normal_deviate;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
/// Margins around the curves, in pixels, which hold titles, numbers and names.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 60.0;

/// Colours that colour-blind people can distinguish (Okabe and Ito).
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];
const DASHES: [&str; 3] = ["none", "8 4", "2 3"];

/// Rates with a number on a normal-deviate axis. The axis extends from the first to the last.
pub(super) const NORMAL_DEVIATE_TICKS: [f64; 11] =
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99];

/// Curves over two axes.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) curves: Vec<Curve>,
    /// Single points, under the curves.
    pub(super) dots: Vec<(f64, f64)>,
}

/// An axis: its range of values and its numbered ticks.
pub(super) struct Axis {
    label: &'static str,
    from: f64,
    to: f64,
    scale: Scale,
    ticks: Vec<(f64, String)>,
}

/// Scale of an axis.
#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
    /// By the normal deviates of rates. The DET curve of normally distributed scores is a straight line on this scale.
    NormalDeviate,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.ln(),
            Self::NormalDeviate => normal_deviate(value),
        }
    }
}

/// A line through points.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

impl Axis {
    /// An axis from 0, or below, to at least `to`, with ticks at round steps.
    pub(super) fn linear(label: &'static str, from: f64, to: f64) -> Self {
        let rough = ((to - from) / 6.0).max(1e-9);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let (first, last) = ((from / step).floor(), (to / step).ceil());
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let ticks = (first as i64..=last as i64)
            .map(|tick| (tick as f64 * step, format!("{:.decimals$}", tick as f64 * step)));
        Self { label, from: first * step, to: last * step, scale: Scale::Linear, ticks: ticks.collect() }
    }

    /// An axis over whole decades, from 10^`from` to 10^`to`.
    pub(super) fn logarithmic(label: &'static str, from: i32, to: i32) -> Self {
        let percent = |decade: i32| match decade {
            -3..=0 => format!("{} %", 10f64.powi(decade + 2)),
            _ => format!("1e{decade}"),
        };
        let ticks = (from..=to).map(|decade| (10f64.powi(decade), percent(decade)));
        let (from, to) = (10f64.powi(from), 10f64.powi(to));
        Self { label, from, to, scale: Scale::Logarithmic, ticks: ticks.collect() }
    }

    /// An axis of rates by their normal deviates, from one end of [`NORMAL_DEVIATE_TICKS`] to the other.
    pub(super) fn normal_deviate(label: &'static str) -> Self {
        let [from, .., to] = NORMAL_DEVIATE_TICKS;
        let ticks = NORMAL_DEVIATE_TICKS.map(|rate| (rate, format!("{} %", (rate * 1000.0).round() / 10.0)));
        Self { label, from, to, scale: Scale::NormalDeviate, ticks: ticks.into() }
    }

    /// The position of a value: 0 at the axis's beginning, 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let [value, from, to] = [value, self.from, self.to].map(|value| self.scale.of(value));
        (value - from) / (to - from)
    }
}

impl Chart {
    /// The chart as an SVG document.
    pub(super) fn to_svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut svg, (WIDTH / 2.0, 24.0), "middle", "font-size=\"16\"", self.title);
        self.draw_axes(&mut svg);
        for &(x, y) in self.dots.iter().filter(|point| self.is_inside(point)) {
            let (x, y) = (self.x_of(x), self.y_of(y));
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"#888\" opacity=\"0.6\"/>");
        }
        for (index, curve) in self.curves.iter().enumerate() {
            self.draw_curve(&mut svg, index, curve);
        }
        self.draw_legend(&mut svg);
        svg + "</svg>\n"
    }

    fn draw_axes(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, label) in &self.x.ticks {
            let x = self.x_of(*value);
            line(svg, (x, TOP), (x, bottom));
            text(svg, (x, bottom + 18.0), "middle", "", label);
        }
        for (value, label) in &self.y.ticks {
            let y = self.y_of(*value);
            line(svg, (LEFT, y), (right, y));
            text(svg, (LEFT - 8.0, y + 4.0), "end", "", label);
        }
        text(svg, (f64::midpoint(LEFT, right), HEIGHT - 16.0), "middle", "", self.x.label);
        let middle = f64::midpoint(TOP, bottom);
        let upwards = format!("transform=\"rotate(-90 18 {middle})\"");
        text(svg, (18.0, middle), "middle", &upwards, self.y.label);
    }

    /// Draws a curve, without the parts outside the axes.
    fn draw_curve(&self, svg: &mut String, index: usize, curve: &Curve) {
        for part in curve.points.split(|point| !self.is_inside(point)).filter(|part| part.len() > 1) {
            let places = part.iter().map(|(x, y)| format!("{:.1},{:.1}", self.x_of(*x), self.y_of(*y)));
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" {}/>",
                places.collect::<Vec<_>>().join(" "),
                stroke(index)
            );
        }
    }

    /// Whether a point lies within the axes.
    fn is_inside(&self, (x, y): &(f64, f64)) -> bool {
        [self.x.place(*x), self.y.place(*y)].iter().all(|place| (0.0..=1.0).contains(place))
    }

    /// Draws the curves' names in a row above the chart.
    fn draw_legend(&self, svg: &mut String) {
        if self.curves.len() < 2 {
            return;
        }
        let y = TOP - 14.0;
        for (index, curve) in self.curves.iter().enumerate() {
            let x = LEFT + 200.0 * index as f64;
            let _ = writeln!(
                svg,
                "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" {}/>",
                x + 32.0,
                stroke(index)
            );
            text(svg, (x + 40.0, y + 4.0), "start", "", curve.name);
        }
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - RIGHT - LEFT)
    }

    fn y_of(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - BOTTOM - TOP)
    }
}

fn stroke(index: usize) -> String {
    let (colour, dash) = (COLOURS[index % COLOURS.len()], DASHES[index % DASHES.len()]);
    format!("stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"")
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ =
        writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>");
}

/// Writes a text. `words` must not contain characters that XML reserves.
fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, more: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        let labels = |axis: &Axis| axis.ticks.iter().map(|(_, label)| label.clone()).collect::<Vec<_>>();
        let axis = Axis::linear("", 0.0, 2.3);
        assert_eq!(labels(&axis), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!((axis.place(0.0), axis.place(2.5)), (0.0, 1.0));
        assert_eq!(labels(&Axis::linear("", 0.0, 40.0)), ["0", "10", "20", "30", "40"]);
        let axis = Axis::logarithmic("", -5, -1);
        assert_eq!(labels(&axis), ["1e-5", "1e-4", "0.1 %", "1 %", "10 %"]);
        assert!((axis.place(1e-3) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn normal_deviates_are_symmetric_about_a_half_and_widen_small_rates() {
        let axis = Axis::normal_deviate("");
        assert_eq!(axis.ticks[0].1, "0.1 %");
        assert_eq!(axis.ticks[2].1, "2 %");
        let place = |rate: f64| axis.place(rate);
        assert!((place(0.5) - place(0.4) - (place(0.6) - place(0.5))).abs() < 1e-9);
        // On these axes the curve of scores of two normal distributions with distance 2 is straight.
        let curve = |threshold: f64| {
            let beyond = |deviate: f64| 0.5 * erfc(deviate / 2f64.sqrt());
            (place(beyond(threshold)), place(beyond(2.0 - threshold)))
        };
        let [one, two, three] = [0.0, 1.0, 2.0].map(curve);
        assert!(((two.0 - one.0) * (three.1 - two.1) - (three.0 - two.0) * (two.1 - one.1)).abs() < 1e-3);
        assert!(place(0.002) - place(0.001) > place(0.502) - place(0.501));
    }

    /// The complementary error function by numerical integration.
    fn erfc(x: f64) -> f64 {
        let steps = 20_000;
        let width = 10.0 / f64::from(steps);
        let sum: f64 = (0..steps).map(|step| (-(x + (f64::from(step) + 0.5) * width).powi(2)).exp()).sum();
        sum * width * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn a_curve_is_drawn_where_it_is_inside_the_axes() {
        let points = vec![(0.0, 0.0), (1.0, 1.0), (2.0, 9.0), (3.0, 1.0), (4.0, 0.0)];
        let chart = Chart {
            title: "t",
            x: Axis::linear("x", 0.0, 4.0),
            y: Axis::linear("y", 0.0, 1.0),
            curves: vec![Curve { name: "one", points: points.clone() }, Curve { name: "two", points }],
            dots: vec![(2.0, 0.5), (2.0, 9.0)],
        };
        let svg = chart.to_svg();
        // The point far above cuts each curve once.
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert!(svg.contains("points=\"80.0,360.0 215.0,58.0\""), "{svg}");
        // Only the dot inside the axes is drawn.
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains(">two</text>") && svg.ends_with("</svg>\n"));
    }
}
