#include "bench/run/run_html.h"

#include "bench/report/plot.h"
#include "bench/report/report.h"

#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VERDICT_BYTES 512u

_Static_assert(SCENARIO_STEPS_MAX <= PLOT_POINTS_MAX, "a plot has a point for each step");
_Static_assert(STEP_CURVE_POINTS <= PLOT_POINTS_MAX, "and one for each percentile of the curve");

/* Colours that people with red-green colour blindness can tell apart. */
static const char STYLE[] =
	":root{color-scheme:light dark;--ink:#1c2330;--soft:#5d6675;--line:#d9dee6;--page:#f7f8fa;--card:#fff;"
	"--s0:#0b6bcb;--s1:#d9730d;--s2:#7a3fc4;--s3:#0a8f6a;--bad:#b3261e;--good:#0a7d4f}\n"
	"@media(prefers-color-scheme:dark){:root{--ink:#e7ebf2;--soft:#9aa5b5;--line:#353d4a;--page:#12161d;"
	"--card:#1a202a;--s0:#63aeff;--s1:#ffae57;--s2:#c59bff;--s3:#4fd6a8;--bad:#ff8a80;--good:#5fd9a0}}\n"
	"body{margin:0 auto;padding:24px;max-width:1360px;background:var(--page);color:var(--ink);"
	"font:15px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:24px;margin:0}h2{font-size:17px;margin:28px 0 8px}p{margin:4px 0}.soft{color:var(--soft)}\n"
	".verdict{font-size:18px;margin:14px 0}.good{color:var(--good)}.bad{color:var(--bad)}\n"
	".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px}\n"
	"figure{margin:0;padding:14px;background:var(--card);border:1px solid var(--line);border-radius:10px}\n"
	"figcaption{font-weight:600}svg{width:100%;height:auto}\n"
	".grid{stroke:var(--line)}.mark{stroke:var(--soft);stroke-dasharray:4 "
	"4}.label{fill:var(--soft);font-size:12px}\n"
	".line{fill:none;stroke-width:2}.s0 *{stroke:var(--s0)}.s1 *{stroke:var(--s1)}.s2 *{stroke:var(--s2)}"
	".s3 *{stroke:var(--s3)}\n"
	".s0 circle,.s0 rect{fill:var(--s0)}.s1 circle,.s1 rect{fill:var(--s1)}.s2 circle,.s2 rect{fill:var(--s2)}"
	".s3 circle,.s3 rect{fill:var(--s3)}g text{stroke:none!important}\n"
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;background:var(--card);font-variant-numeric:"
	"tabular-nums}\n"
	"th,td{padding:5px 9px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}"
	"th{color:var(--soft);font-weight:500}td:last-child,th:last-child{text-align:left;white-space:normal}\n";

/* One figure of a step, for a plot or a column. */
typedef double step_figure(const struct run_report *report, const struct run_result *result, uint32_t index);

#define FIGURE(name, expression)                                                                                       \
	static double name(const struct run_report *report, const struct run_result *result, uint32_t index)           \
	{                                                                                                              \
		const struct step *step = &result->steps[index];                                                       \
		(void)report;                                                                                          \
		(void)step;                                                                                            \
		return expression;                                                                                     \
	}

FIGURE(load_of, step->load)
FIGURE(offered_of, step->offered)
FIGURE(delivered_of, step->delivered)
FIGURE(sign_ins_of, step->reconnects > 0 ? step->sign_ins : (double)NAN)
FIGURE(handshakes_of, step->handshakes > 0 ? step->handshakes : (double)NAN)
FIGURE(resumed_of, step->resumed_percent)
FIGURE(mean_of, step->mean_ms)
FIGURE(p50_of, step->p50_ms)
FIGURE(p99_of, step->p99_ms)
FIGURE(p999_of, step->p999_ms)
FIGURE(max_of, step->max_ms)
FIGURE(sign_in_p50_of, step->sign_in_p50_ms)
FIGURE(sign_in_p99_of, step->sign_in_p99_ms)
FIGURE(in_flight_of, step->in_flight)
FIGURE(little_of, step_little(step))
FIGURE(cpu_us_of, step->server_cpu_us)
FIGURE(server_cpu_of, step->server_cpu_percent)
FIGURE(bench_cpu_of, step->client_cpu_percent)
FIGURE(other_cpu_of, step->other_cpu_percent)
FIGURE(memory_of, step->server_bytes)
FIGURE(distance_of, run_report_distance(report, index))
FIGURE(late_of, step->late_p99_ms)
FIGURE(lost_of, (double)step->lost)
FIGURE(doubled_of, (double)step->doubled)
FIGURE(reordered_of, (double)step->reordered)
FIGURE(error_of, step_error_rate(step))

static void name_steps(const struct run_report *report, struct plot *plot)
{
	plot->count = report->server->step_count;
	plot->mark = report->scenario->step_count > 0 ? run_report_knee(report) : PLOT_NO_MARK;
	for (uint32_t i = 0; i < plot->count; i++) {
		if (isnan(report->server->steps[i].load))
			snprintf(plot->x_names[i], PLOT_NAME_BYTES, "the run");
		else
			report_grouped(report->server->steps[i].load, 0, plot->x_names[i]);
	}
}

static void add_series(const struct run_report *report, struct plot *plot, const char *name, step_figure *figure,
		       const struct run_result *result)
{
	CHECK(plot->series_count < PLOT_SERIES_MAX);
	struct plot_series *series = &plot->series[plot->series_count++];
	snprintf(series->name, sizeof(series->name), "%s", name);
	for (uint32_t i = 0; i < plot->count; i++)
		series->y[i] = i < result->step_count ? figure(report, result, i) : (double)NAN;
}

struct line {
	const char *name;
	step_figure *figure;
	bool of_floor;
};

struct chart {
	const char *title;
	const char *unit;
	bool logarithmic;
	struct line lines[PLOT_SERIES_MAX];
};

static const struct chart CHARTS[] = {
	{"Throughput over load",
	 "a second",
	 false,
	 {{"messages due", offered_of, false},
	  {"messages delivered", delivered_of, false},
	  {"sign-ins", sign_ins_of, false},
	  {"TLS handshakes", handshakes_of, false}}},
	{"Latency over load, from when a message was due",
	 "ms",
	 true,
	 {{"p50", p50_of, false}, {"p99", p99_of, false}, {"p99.9", p999_of, false}, {"most", max_of, false}}},
	{"Time to sign in over load", "ms", true, {{"p50", sign_in_p50_of, false}, {"p99", sign_in_p99_of, false}}},
	{"On their way: counted, and by Little's law",
	 "messages",
	 true,
	 {{"counted", in_flight_of, false}, {"rate x latency", little_of, false}}},
	{"Server processor time a message", "us", false, {{"server", cpu_us_of, false}, {"floor", cpu_us_of, true}}},
	{"Distance to the floor", "times", false, {{"server / floor", distance_of, false}}},
	{"Server memory a client", "bytes", false, {{"server", memory_of, false}, {"floor", memory_of, true}}},
	{"Processor time",
	 "% of a core",
	 false,
	 {{"server", server_cpu_of, false}, {"bench", bench_cpu_of, false}, {"others", other_cpu_of, false}}},
};

static void print_chart(const struct run_report *report, const struct chart *chart, struct plot *plot, FILE *out)
{
	*plot = (struct plot){
		.title = chart->title, .x_title = "load", .y_title = chart->unit, .logarithmic = chart->logarithmic};
	name_steps(report, plot);
	for (uint32_t i = 0; i < PLOT_SERIES_MAX && chart->lines[i].name != NULL; i++) {
		const struct line *line = &chart->lines[i];
		if (!line->of_floor || report->floor != NULL)
			add_series(report, plot, line->name, line->figure,
				   line->of_floor ? report->floor : report->server);
	}
	if (plot_has_values(plot))
		plot_print(plot, out);
}

/* Plots the first step, the middle one, the knee and the last, each once. */
static void print_curve(const struct run_report *report, struct plot *plot, FILE *out)
{
	CHECK(report->server->step_count > 0);
	uint32_t last = report->server->step_count - 1;
	uint32_t knee = run_report_knee(report);
	uint32_t picked[] = {0, last / 2, knee != STEP_NONE ? knee : last, last};
	*plot = (struct plot){.title = "Percentiles of latency",
			      .x_title = "percent of the messages that took no longer",
			      .y_title = "ms",
			      .count = STEP_CURVE_POINTS,
			      .mark = PLOT_NO_MARK,
			      .logarithmic = true};
	for (uint32_t i = 0; i < STEP_CURVE_POINTS; i++)
		snprintf(plot->x_names[i], PLOT_NAME_BYTES, "%.4g", STEP_CURVE_PERCENT[i]);
	for (uint32_t i = 0; i < PLOT_SERIES_MAX; i++) {
		if (i > 0 && picked[i] <= picked[i - 1])
			continue;
		const struct step *step = &report->server->steps[picked[i]];
		struct plot_series *series = &plot->series[plot->series_count++];
		if (isnan(step->load))
			snprintf(series->name, PLOT_NAME_BYTES, "the run");
		else
			snprintf(series->name, PLOT_NAME_BYTES, "load %.0f%s", step->load,
				 picked[i] == knee ? " (knee)" : "");
		memcpy(series->y, step->curve_ms, sizeof(step->curve_ms));
	}
	if (plot_has_values(plot))
		plot_print(plot, out);
}

static void print_plots(const struct run_report *report, FILE *out)
{
	struct plot *plot = calloc(1, sizeof(*plot));
	if (plot == NULL || report->server->step_count == 0) {
		free(plot);
		return;
	}
	fputs("<div class=\"plots\">\n", out);
	for (size_t i = 0; i < sizeof(CHARTS) / sizeof(CHARTS[0]); i++) {
		print_chart(report, &CHARTS[i], plot, out);
		if (i == 1)
			print_curve(report, plot, out);
	}
	fputs("</div>\n", out);
	free(plot);
}

static void html_print_table(const struct run_report *report, FILE *out)
{
	static const struct {
		const char *title;
		step_figure *figure;
		int decimals;
	} columns[] = {
		{"load", load_of, 0},
		{"due/s", offered_of, 0},
		{"delivered/s", delivered_of, 0},
		{"mean ms", mean_of, 2},
		{"p50 ms", p50_of, 2},
		{"p99 ms", p99_of, 2},
		{"p99.9 ms", p999_of, 2},
		{"sign-ins/s", sign_ins_of, 0},
		{"sign-in p99 ms", sign_in_p99_of, 2},
		{"TLS handshakes/s", handshakes_of, 0},
		{"resumed %", resumed_of, 1},
		{"on their way", in_flight_of, 1},
		{"by Little", little_of, 1},
		{"CPU us/message", cpu_us_of, 2},
		{"x floor", distance_of, 2},
		{"CPU %", server_cpu_of, 0},
		{"bench late p99 ms", late_of, 2},
		{"lost", lost_of, 0},
		{"doubled", doubled_of, 0},
		{"out of order", reordered_of, 0},
		{"error rate", error_of, 4},
	};
	char cell[40];
	fputs("<h2>Every step</h2>\n<div class=\"wide\"><table><tr>", out);
	for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
		fprintf(out, "<th>%s</th>", columns[c].title);
	fputs("<th>objectives</th></tr>\n", out);
	for (uint32_t i = 0; i < report->server->step_count; i++) {
		const struct step *step = &report->server->steps[i];
		fputs("<tr>", out);
		for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
			double value = columns[c].figure(report, report->server, i);
			fprintf(out, "<td>%s</td>",
				isnan(value) ? "-" : report_grouped(value, columns[c].decimals, cell));
		}
		fprintf(out, "<td class=\"%s\">", step->breach[0] == '\0' ? "good" : "bad");
		plot_print_text(step->breach[0] == '\0' ? "held" : step->breach, out);
		fputs(step_is_late(step) ? " (the bench itself was late)</td></tr>\n" : "</td></tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

static void print_paragraph(const char *class, const char *before, const char *text, FILE *out)
{
	if (*text == '\0')
		return;
	fprintf(out, "<p class=\"%s\">%s", class, before);
	plot_print_text(text, out);
	fputs("</p>\n", out);
}

static void print_head(const struct run_report *report, FILE *out)
{
	const struct run_result *server = report->server;
	char verdict[VERDICT_BYTES];
	char date[40] = "";
	char carriage[VERDICT_BYTES];
	char cell[2][40];
	struct tm parts;
	time_t now = time(NULL);
	if (localtime_r(&now, &parts) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &parts);
	run_report_verdict(report, verdict, sizeof(verdict));
	fputs("<h1>", out);
	plot_print_text(report->scenario->name, out);
	fputs("</h1>\n<p class=\"soft\">", out);
	plot_print_text(report->url, out);
	fprintf(out, ", %s; %s of %s clients connected in %.1f s", date, report_grouped(server->connected, 0, cell[0]),
		report_grouped(server->clients, 0, cell[1]), server->connect_s);
	if (!isnan(server->memory_bytes))
		fprintf(out, "; %s bytes of the server's memory each",
			report_grouped(server->memory_bytes, 0, cell[0]));
	fputs("</p>\n", out);
	run_report_carriage(server, carriage, sizeof(carriage));
	print_paragraph("soft", "", carriage, out);
	print_paragraph(run_report_is_good(report) ? "verdict good" : "verdict bad", "", verdict, out);
	print_paragraph("bad", "Ended early: ", server->fault, out);
	print_paragraph("soft", "No floor: ", report->floor_fault, out);
}

void run_html_print(const struct run_report *report, FILE *out)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
	      out);
	plot_print_text(report->scenario->name, out);
	fprintf(out, " - roost bench run</title>\n<style>%s</style></head>\n<body>\n", STYLE);
	print_head(report, out);
	print_plots(report, out);
	html_print_table(report, out);
	fputs("</body></html>\n", out);
}

const char *run_html_write(const struct run_report *report, const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		return strerror(errno);
	run_html_print(report, out);
	bool whole = fflush(out) == 0 && !ferror(out);
	fclose(out);
	const char *fault = whole ? file_replace(path, slice_of(text, size), FILE_PUBLIC) : "out of memory";
	free(text);
	return fault;
}
