"""Shapes of panels and variables that the dashboards share, built by Grafana's own SDK.

Every panel asks the data source that the variable `datasource` names, so a dashboard works in any Grafana.
"""

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Grafana divides the width of a dashboard into 24 columns.
HEIGHT = 8


def query(number, expression, legend):
    """One query of a panel. `legend` is a template such as `{{operation}}`."""
    return (
        prometheus.Dataquery()
        .ref_id(chr(ord("A") + number))
        .expr(" ".join(expression.split()))
        .legend_format(legend)
        .range()
    )


def common_parts(panel, title, text, width, queries):
    panel = panel.title(title).description(text).datasource(SOURCE).span(width).height(HEIGHT)
    for number, (expression, legend) in enumerate(queries):
        panel = panel.with_target(query(number, expression, legend))
    return panel


def lines(title, unit, text, *queries, width=8, stacked=False, top=None, signed=False):
    """Values over time. `queries` are pairs of an expression and a legend; `signed` ones may fall below zero."""
    legend = common_builders.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM)
    legend = legend.display_mode(common.LegendDisplayMode.LIST).calcs([])
    panel = common_parts(timeseries.Panel(), title, text, width, queries)
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = panel.unit(unit).fill_opacity(10).legend(legend)
    panel = panel.tooltip(tooltip.sort(common.SortOrder.DESCENDING))
    # Log-likelihood ratios and scores have no zero to start from.
    if unit != "none" and not signed:
        panel = panel.min(0)
    if top is not None:
        panel = panel.max(top)
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        panel = panel.fill_opacity(40)
    return panel


def number(title, unit, text, expression, *steps, width=4):
    """One present value. `steps` are pairs of a value and the colour from there on."""
    colours = [dashboard.Threshold(value=value, color=colour) for value, colour in steps]
    thresholds = boards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(colours)
    panel = common_parts(stat.Panel(), title, text, width, [(expression, "")])
    reduce = common_builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)
    return panel.unit(unit).thresholds(thresholds).reduce_options(reduce)


def cells(title, unit, text, expression, width=8):
    """A histogram over time. `expression` yields rates of buckets by `le`."""
    asked = query(0, expression, "{{le}}").format(PromQueryFormat.HEATMAP)
    panel = common_parts(heatmap.Panel(), title, text, width, [])
    axis = heatmap.YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT)
    return panel.with_target(asked).calculate(False).y_axis(axis)


def labels(title, text, expression, width=12):
    """The labels of series, as a table."""
    asked = query(0, expression, "").instant().format(PromQueryFormat.TABLE)
    return common_parts(table.Panel(), title, text, width, []).with_target(asked)


def variable(name, label, values):
    """A variable with the values that `label_values` finds; all of them at first."""
    everything = dashboard.VariableOption(selected=True, text="All", value="$__all")
    return (
        boards.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(values)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


CLIENT = variable("client", "Client", "label_values(faceline_client_requests_total, client)")
OPERATION = variable("operation", "Operation", "label_values(faceline_http_requests_total, operation)")
MODEL = variable("model", "Model", "label_values(faceline_model_info, name)")


def board(name, title, text, variables, rows):
    """A dashboard. `rows` are pairs of a title and its panels."""
    built = (
        boards.Dashboard(f"Faceline: {title}")
        .uid(f"faceline-{name}")
        .description(text)
        .tags(["faceline"])
        .timezone("browser")
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(boards.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            boards.DashboardLink("Faceline")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["faceline"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .annotation(
            boards.AnnotationQuery()
            .name("Alerts")
            .datasource(SOURCE)
            .enable(True)
            .icon_color("red")
            .expr('ALERTS{alertname=~"Faceline.*", alertstate="firing"}')
        )
    )
    for each in variables:
        built = built.with_variable(each)
    for row, panels in rows:
        built = built.with_row(boards.Row(row))
        for panel in panels:
            built = built.with_panel(panel)
    return built
