#include "bench/report/table.h"

#include "bench/report/report.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>

#define RATIO_DECIMALS 2

static void print_name(const struct table *table, const char *name)
{
	CHECK(table->column_count > 0 && table->column_count <= TABLE_COLUMNS_MAX);
	if (table->name_width > 0)
		printf("%-*s", table->name_width, name);
}

static void print_cell(const struct table *table, uint32_t column, const char *text)
{
	const char *gap = column > 0 || table->name_width > 0 ? " " : "";
	printf("%s%*s", gap, table->columns[column].width, text);
}

static void print_figure(const struct table *table, uint32_t column, double value, int decimals)
{
	char text[REPORT_GROUPED_BYTES];
	if (!isfinite(value))
		print_cell(table, column, table->unknown);
	else if (decimals != TABLE_PLAIN)
		print_cell(table, column, report_grouped(value, decimals, text));
	else if (snprintf(text, sizeof(text), "%.0f", value) > 0)
		print_cell(table, column, text);
}

void table_print_titles(const struct table *table, const char *name)
{
	print_name(table, name);
	for (uint32_t i = 0; i < table->column_count; i++)
		print_cell(table, i, table->columns[i].title);
	putchar('\n');
}

void table_print_row(const struct table *table, const char *name, const double *values, const char *tail)
{
	print_name(table, name);
	for (uint32_t i = 0; i < table->column_count; i++)
		print_figure(table, i, values[i], table->columns[i].decimals);
	puts(tail);
}

void table_print_ratios(const struct table *table, const char *name, const double *values, uint32_t count,
			uint32_t blank)
{
	CHECK(count <= table->column_count);
	print_name(table, name);
	for (uint32_t i = 0; i < count; i++) {
		if (i == blank)
			print_cell(table, i, "");
		else
			print_figure(table, i, values[i], RATIO_DECIMALS);
	}
	putchar('\n');
}
