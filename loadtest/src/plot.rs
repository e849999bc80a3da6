//! Draws values over time as an SVG: panels above each other with the same time axis.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

const FONT: &str = "sans-serif";
/// Colours that people with colour blindness can tell apart (Okabe and Ito).
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(crate) const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub(crate) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(crate) const PINK: RGBColor = RGBColor(204, 121, 167);

/// A plot.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
    /// The unit of the time axis.
    pub(crate) time: &'a str,
    /// The end of the time axis.
    pub(crate) end: f64,
    pub(crate) panels: Vec<Panel<'a>>,
}

/// A panel: its label and its lines.
pub(crate) struct Panel<'a> {
    pub(crate) label: &'a str,
    pub(crate) lines: Vec<Line<'a>>,
}

/// A line: its points are times and values.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) color: RGBColor,
    pub(crate) points: Vec<(f64, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

impl Plot<'_> {
    /// The plot as the text of an SVG.
    ///
    /// # Errors
    /// It cannot be drawn.
    pub(crate) fn svg(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, self.size).into_drawing_area();
            self.draw(&root).map_err(|error| anyhow!("{error}"))?;
        }
        Ok(text)
    }

    fn draw<'a>(&self, root: &Area<'a>) -> Drawn<'a> {
        root.fill(&WHITE)?;
        let below = root.titled(self.title, (FONT, 20))?;
        for (area, panel) in below.split_evenly((self.panels.len(), 1)).iter().zip(&self.panels) {
            self.draw_panel(area, panel)?;
        }
        root.present()
    }

    fn draw_panel<'a>(&self, area: &Area<'a>, panel: &Panel<'_>) -> Drawn<'a> {
        let values = panel.lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
        let highest = values.fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(28)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..self.end, 0.0..(highest * 1.1).max(1.0))?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.time).y_desc(panel.label).light_line_style(WHITE).x_labels(12).y_labels(5).draw()?;
        for line in &panel.lines {
            let color = line.color;
            let points = line.points.iter().copied();
            let drawn = chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
            drawn.label(line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        let mut legend = chart.configure_series_labels();
        legend
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(WHITE)
            .draw()
    }
}
