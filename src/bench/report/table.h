/* A table of figures for people: a name on the left (or none), then columns of right-aligned figures. On stdout; main
 * thread. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdint.h>

#define TABLE_COLUMNS_MAX 16u
/* For a column's decimals: a count, printed without commas. */
#define TABLE_PLAIN (-1)

struct table_column {
	const char *title;
	int width;
	int decimals; /* or TABLE_PLAIN */
};

struct table {
	int name_width;      /* 0: rows have no name */
	const char *unknown; /* printed for values that are not finite */
	uint32_t column_count;
	struct table_column columns[TABLE_COLUMNS_MAX];
};

/* The line of titles; name stands above the names. */
void table_print_titles(const struct table *table, const char *name);

/* A row: one value for each column, then the tail. */
void table_print_row(const struct table *table, const char *name, const double *values, const char *tail);

/* The same for the first `count` columns only, with two decimals in each; column `blank` stays empty. */
void table_print_ratios(const struct table *table, const char *name, const double *values, uint32_t count,
			uint32_t blank);

/* For `blank`: no column stays empty. */
#define TABLE_NO_BLANK TABLE_COLUMNS_MAX

#endif
