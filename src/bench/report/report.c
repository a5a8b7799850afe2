#include "bench/report/report.h"

#include "base/check.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_COLUMN 44

struct report *report_new(void)
{
	return calloc(1, sizeof(struct report));
}

void report_free(struct report *report)
{
	free(report);
}

/* Keys contain names that users give to brokers. Anything but letters and digits becomes _. */
static struct report_figure *add(struct report *report, const char *prefix, const char *key, const char *label)
{
	CHECK(report->count < REPORT_FIGURES_MAX);
	struct report_figure *figure = &report->figures[report->count++];
	snprintf(figure->key, sizeof(figure->key), "%.60s%s%.30s", prefix != NULL ? prefix : "",
		 prefix != NULL ? "_" : "", key);
	for (char *at = figure->key; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at))
			*at = '_';
	}
	figure->label = label;
	return figure;
}

void report_number(struct report *report, const char *prefix, const char *key, double number, int decimals,
		   const char *label, const char *unit)
{
	CHECK(decimals >= 0);
	struct report_figure *figure = add(report, prefix, key, label);
	figure->known = isfinite(number);
	figure->number = number;
	figure->decimals = decimals;
	figure->unit = unit;
}

void report_text(struct report *report, const char *prefix, const char *key, const char *text, const char *label)
{
	CHECK(text != NULL);
	struct report_figure *figure = add(report, prefix, key, label);
	figure->is_text = true;
	figure->known = true;
	figure->unit = "";
	snprintf(figure->text, sizeof(figure->text), "%s", text);
}

void report_values(struct report *report, const char *prefix, const struct report_value *values)
{
	for (; values->key != NULL; values++)
		report_number(report, prefix, values->key, values->number, values->decimals, NULL, "");
}

char *report_grouped(double number, int decimals, char *out)
{
	char plain[REPORT_GROUPED_BYTES];
	char *to = out;
	if (!isfinite(number))
		return memcpy(out, "n/a", sizeof("n/a"));
	snprintf(plain, sizeof(plain), "%.*f", decimals, fabs(number) < 1e15 ? number : 1e15);
	size_t whole = strcspn(plain, ".");
	size_t sign = plain[0] == '-';
	for (size_t i = 0; plain[i] != '\0'; i++) {
		if (i > sign && i < whole && (whole - i) % 3 == 0)
			*to++ = ',';
		*to++ = plain[i];
	}
	CHECK((size_t)(to - out) < REPORT_GROUPED_BYTES);
	*to = '\0';
	return out;
}

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < 0x20)
			printf("\\u%04x", (unsigned int)byte);
		else
			putchar(byte);
	}
	putchar('"');
}

static void print_json(const struct report *report)
{
	for (uint32_t i = 0; i < report->count; i++) {
		const struct report_figure *figure = &report->figures[i];
		printf("%s\n  \"%s\": ", i == 0 ? "{" : ",", figure->key);
		if (!figure->known)
			fputs("null", stdout);
		else if (figure->is_text)
			print_json_text(figure->text);
		else
			printf("%.*f", figure->decimals, figure->number);
	}
	puts("\n}");
}

static void report_print_people(const struct report *report)
{
	for (uint32_t i = 0; i < report->count; i++) {
		const struct report_figure *figure = &report->figures[i];
		char number[40];
		if (figure->label == NULL)
			continue;
		const char *value =
			figure->is_text ? figure->text : report_grouped(figure->number, figure->decimals, number);
		printf("%-*s %s%s%s\n", LABEL_COLUMN, figure->label, value,
		       figure->known && figure->unit[0] != '\0' ? " " : "", figure->known ? figure->unit : "");
	}
}

void report_print(const struct report *report, bool json)
{
	if (json)
		print_json(report);
	else
		report_print_people(report);
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;
	return (left > right) - (left < right);
}

double report_median(double *values, uint32_t count)
{
	uint32_t known = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!isnan(values[i]))
			values[known++] = values[i];
	}
	if (known == 0)
		return (double)NAN;
	qsort(values, known, sizeof(*values), compare);
	return known % 2 == 1 ? values[known / 2] : (values[known / 2 - 1] + values[known / 2]) / 2;
}

double report_largest(const double *values, uint32_t count)
{
	double most = (double)NAN;
	for (uint32_t i = 0; i < count; i++)
		most = isnan(most) || values[i] > most ? values[i] : most;
	return most;
}
