#include "bench/report/plot.h"

#include "base/check.h"

#include <math.h>

#define WIDTH 640.0
#define HEIGHT 300.0
#define LEFT 72.0
#define RIGHT 620.0
#define TOP 44.0
#define BOTTOM 244.0
#define TICKS_WANTED 5.0
#define DECADES_MAX 10.0 /* each has a line of its own; with more decades, several share one */
#define X_NAMES_MAX 12u
#define LEGEND_STEP 150.0

/* The left edge, from low to high, in the units of the axis (decades if it is logarithmic). */
struct axis {
	double low;
	double high;
	double step;
	bool logarithmic;
};

void plot_print_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			/* XML cannot represent the other control characters. */
			fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
		}
	}
}

static bool is_drawn(double value, bool logarithmic)
{
	return isfinite(value) && (!logarithmic || value > 0);
}

static bool find_range(const struct plot *plot, double *least, double *most)
{
	bool found = false;
	for (uint32_t s = 0; s < plot->series_count; s++) {
		for (uint32_t i = 0; i < plot->count; i++) {
			double value = plot->series[s].y[i];
			if (!is_drawn(value, plot->logarithmic))
				continue;
			*least = found ? fmin(*least, value) : value;
			*most = found ? fmax(*most, value) : value;
			found = true;
		}
	}
	return found;
}

bool plot_has_values(const struct plot *plot)
{
	double least;
	double most;
	return find_range(plot, &least, &most);
}

/* 1, 2 or 5 times a power of ten. */
static double round_step(double step)
{
	double decade = pow(10, floor(log10(step)));
	double times = step / decade;
	return decade * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

static struct axis axis_of(const struct plot *plot)
{
	double least = 0;
	double most = 1;
	struct axis axis = {.logarithmic = plot->logarithmic};
	find_range(plot, &least, &most);
	if (axis.logarithmic) {
		axis.low = floor(log10(least));
		axis.high = fmax(ceil(log10(most)), axis.low + 1);
		axis.step = fmax(1, ceil((axis.high - axis.low) / DECADES_MAX));
		axis.high = axis.low + ceil((axis.high - axis.low) / axis.step) * axis.step;
		return axis;
	}
	axis.low = fmin(0, least);
	most = fmax(most, axis.low + 1e-9);
	axis.step = round_step((most - axis.low) / TICKS_WANTED);
	axis.low = floor(axis.low / axis.step) * axis.step;
	axis.high = axis.low + ceil((most - axis.low) / axis.step) * axis.step;
	return axis;
}

static double y_of(const struct axis *axis, double in_axis)
{
	CHECK(axis->high > axis->low);
	return BOTTOM - (in_axis - axis->low) / (axis->high - axis->low) * (BOTTOM - TOP);
}

static double x_of(const struct plot *plot, uint32_t index)
{
	CHECK(index < plot->count);
	if (plot->count < 2)
		return (LEFT + RIGHT) / 2;
	return LEFT + (RIGHT - LEFT) * index / (plot->count - 1);
}

static void print_value(double value, FILE *out)
{
	if (fabs(value) >= 1e6)
		fprintf(out, "%.4gM", value / 1e6);
	else if (fabs(value) >= 1e4)
		fprintf(out, "%.4gk", value / 1e3);
	else
		fprintf(out, "%.4g", value);
}

static void print_grid(const struct axis *axis, FILE *out)
{
	CHECK(axis->step > 0);
	uint32_t lines = (uint32_t)lround((axis->high - axis->low) / axis->step);
	for (uint32_t i = 0; i <= lines; i++) {
		double at = axis->low + i * axis->step;
		double y = y_of(axis, at);
		fprintf(out, "<line class=\"grid\" x1=\"%.0f\" y1=\"%.1f\" x2=\"%.0f\" y2=\"%.1f\"/>", LEFT, y, RIGHT,
			y);
		fprintf(out, "<text class=\"label\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y + 4);
		print_value(axis->logarithmic ? pow(10, at) : at, out);
		fputs("</text>\n", out);
	}
}

static void print_names(const struct plot *plot, FILE *out)
{
	uint32_t every = (plot->count + X_NAMES_MAX - 1) / X_NAMES_MAX;
	for (uint32_t i = 0; i<plot->count; i += every> 0 ? every : 1) {
		fprintf(out, "<text class=\"label\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">", x_of(plot, i),
			BOTTOM + 18);
		plot_print_text(plot->x_names[i], out);
		fputs("</text>", out);
	}
	fprintf(out, "\n<text class=\"label\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">", (LEFT + RIGHT) / 2,
		BOTTOM + 40);
	plot_print_text(plot->x_title, out);
	fputs("</text>\n", out);
}

static void print_series(const struct plot *plot, const struct axis *axis, uint32_t number, FILE *out)
{
	const struct plot_series *series = &plot->series[number];
	bool open = false;
	for (uint32_t i = 0; i <= plot->count; i++) {
		bool drawn = i < plot->count && is_drawn(series->y[i], plot->logarithmic);
		double value = drawn ? series->y[i] : 0;
		if (drawn) {
			fprintf(out, "%s%.1f,%.1f ", open ? "" : "<polyline class=\"line\" points=\"", x_of(plot, i),
				y_of(axis, plot->logarithmic ? log10(value) : value));
		} else if (open) {
			fputs("\"/>\n", out);
		}
		open = drawn;
	}
	for (uint32_t i = 0; i < plot->count; i++) {
		double value = series->y[i];
		if (!is_drawn(value, plot->logarithmic))
			continue;
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>", x_of(plot, i),
			y_of(axis, plot->logarithmic ? log10(value) : value));
		plot_print_text(series->name, out);
		fputs(", ", out);
		plot_print_text(plot->x_names[i], out);
		fprintf(out, ": %.4g</title></circle>\n", value);
	}
}

static void print_legend(const struct plot *plot, uint32_t number, FILE *out)
{
	double x = LEFT + number * LEGEND_STEP;
	fprintf(out, "<rect x=\"%.0f\" y=\"%.0f\" width=\"10\" height=\"10\"/>", x, TOP - 20);
	fprintf(out, "<text class=\"label\" x=\"%.0f\" y=\"%.0f\">", x + 15, TOP - 11);
	plot_print_text(plot->series[number].name, out);
	fputs("</text>\n", out);
}

void plot_print(const struct plot *plot, FILE *out)
{
	CHECK(plot->count <= PLOT_POINTS_MAX && plot->series_count <= PLOT_SERIES_MAX);
	struct axis axis = axis_of(plot);
	fputs("<figure><figcaption>", out);
	plot_print_text(plot->title, out);
	fprintf(out, "</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
	plot_print_text(plot->title, out);
	fputs("\" xmlns=\"http://www.w3.org/2000/svg\">\n<text class=\"label\" x=\"6\" y=\"14\">", out);
	plot_print_text(plot->y_title, out);
	fputs("</text>\n", out);
	print_grid(&axis, out);
	print_names(plot, out);
	if (plot->mark < plot->count)
		fprintf(out, "<line class=\"mark\" x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\"/>\n",
			x_of(plot, plot->mark), TOP, x_of(plot, plot->mark), BOTTOM);
	for (uint32_t s = 0; s < plot->series_count; s++) {
		fprintf(out, "<g class=\"s%u\">", s);
		print_legend(plot, s, out);
		print_series(plot, &axis, s, out);
		fputs("</g>\n", out);
	}
	fputs("</svg></figure>\n", out);
}
