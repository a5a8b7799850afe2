/* A line plot as inline SVG. Colours come from the page: classes grid, label, s0 to s3. Pure, except for the stream. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLOT_SERIES_MAX 4u
#define PLOT_POINTS_MAX 64u
#define PLOT_NAME_BYTES 48u

struct plot_series {
	char name[PLOT_NAME_BYTES];
	double y[PLOT_POINTS_MAX]; /* NAN: a gap */
};

struct plot {
	const char *title;
	const char *x_title;
	const char *y_title;
	uint32_t count; /* points of each series; they are spaced evenly, with their names below */
	char x_names[PLOT_POINTS_MAX][PLOT_NAME_BYTES];
	uint32_t series_count;
	struct plot_series series[PLOT_SERIES_MAX];
	uint32_t mark; /* a point with a line through it, or PLOT_NO_MARK */
	bool logarithmic;
};

#define PLOT_NO_MARK UINT32_MAX

/* There is something to draw: at least one known value. */
bool plot_has_values(const struct plot *plot);
void plot_print(const struct plot *plot, FILE *out);

/* Prints text with XML's special characters as entities. */
void plot_print_text(const char *text, FILE *out);

#endif
