/* A list of figures, printed for people or as one flat JSON object for programs. An unknown figure is "n/a" for people
 * and null for programs. Main thread. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#define REPORT_FIGURES_MAX 512u
#define REPORT_KEY_BYTES 96u
#define REPORT_TEXT_BYTES 512u
/* 1e15 with its commas, a sign and decimals. */
#define REPORT_GROUPED_BYTES 32u

struct report_figure {
	char key[REPORT_KEY_BYTES];
	const char *label; /* static storage; NULL: for programs only */
	const char *unit;  /* static storage */
	bool is_text;
	bool known;
	int decimals;
	double number;
	char text[REPORT_TEXT_BYTES];
};

struct report {
	uint32_t count;
	struct report_figure figures[REPORT_FIGURES_MAX];
};

/* On the heap, because it is large. Returns NULL without memory. */
struct report *report_new(void);
void report_free(struct report *report);

/* NAN means "not known". The key is prefix_key, or key alone if prefix is NULL. */
void report_number(struct report *report, const char *prefix, const char *key, double number, int decimals,
		   const char *label, const char *unit);
void report_text(struct report *report, const char *prefix, const char *key, const char *text, const char *label);

/* A figure for programs only. */
struct report_value {
	const char *key; /* NULL: the end of a list */
	double number;
	int decimals;
};

void report_values(struct report *report, const char *prefix, const struct report_value *values);

/* On stdout. */
void report_print(const struct report *report, bool json);

/* The median of the values that are not NAN, or NAN if there is none. Reorders values. */
double report_median(double *values, uint32_t count);
/* The largest of the values that are not NAN, or NAN if there is none. */
double report_largest(const double *values, uint32_t count);

/* Writes 1,234,567 into out, which holds REPORT_GROUPED_BYTES; returns out. */
char *report_grouped(double number, int decimals, char *out);

#endif
