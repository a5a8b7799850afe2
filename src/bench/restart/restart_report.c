#include "bench/restart/restart_report.h"

#include "bench/report/table.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

#define COLUMNS 6u

static const struct table TABLE = {
	.name_width = 8,
	.unknown = "-",
	.column_count = COLUMNS,
	.columns = {{"acked", 10, 0},
		    {"arrived", 10, 0},
		    {"repeated", 9, TABLE_PLAIN},
		    {"missing", 8, TABLE_PLAIN},
		    {"doubled", 8, TABLE_PLAIN},
		    {"disorder", 9, TABLE_PLAIN}},
};

static void print_audit(uint32_t qos, const struct step_audit *audit)
{
	char name[16];
	const double values[] = {
		qos > 0 ? (double)audit->acknowledged : (double)NAN, (double)audit->arrived,
		qos == 1 ? (double)audit->repeated : (double)NAN,    qos > 0 ? (double)audit->missing : (double)NAN,
		qos != 1 ? (double)audit->doubled : (double)NAN,     (double)audit->reordered,
	};
	_Static_assert(sizeof(values) / sizeof(values[0]) == COLUMNS, "one value for each column");
	snprintf(name, sizeof(name), "QoS %u", qos);
	table_print_row(&TABLE, name, values, "");
}

static void print_restart(const struct scenario *scenario, const struct step *step)
{
	const struct step_restart *restart = &step->restart;
	putchar('\n');
	if (!isnan(step->load))
		printf("load %.0f: ", step->load);
	printf("%s %u ms after the first message; it ended in %.0f ms and accepted again %.0f ms later\n",
	       scenario->restart.signal == SIGKILL ? "killed" : "stopped", (unsigned int)scenario->restart.after_ms,
	       restart->stop_ms, restart->start_ms);
	table_print_titles(&TABLE, "");
	for (uint32_t qos = 0; qos < 3; qos++) {
		if (restart->at_qos[qos].arrived > 0 || restart->at_qos[qos].acknowledged > 0)
			print_audit(qos, &restart->at_qos[qos]);
	}
	if (restart->sessions_lost > 0)
		printf("sessions that were not resumed: %llu\n", (unsigned long long)restart->sessions_lost);
	if (restart->identifiers_reused > 0)
		printf("packet identifiers used again before PUBREL: %llu\n",
		       (unsigned long long)restart->identifiers_reused);
	if (restart->refused > 0)
		printf("messages that the server refused: %llu\n", (unsigned long long)restart->refused);
}

void restart_print(const struct scenario *scenario, const struct step *steps, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (steps[i].restart.made)
			print_restart(scenario, &steps[i]);
	}
}

static json_t *audit_json(uint32_t qos, const struct step_audit *audit)
{
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "qos", (int)qos, "acknowledged",
			 (json_int_t)audit->acknowledged, "arrived", (json_int_t)audit->arrived, "repeated",
			 (json_int_t)audit->repeated, "missing", (json_int_t)audit->missing, "doubled",
			 (json_int_t)audit->doubled, "out_of_order", (json_int_t)audit->reordered);
}

json_t *restart_json(const struct step *step)
{
	const struct step_restart *restart = &step->restart;
	if (!restart->made)
		return json_null();
	json_t *audits = json_array();
	for (uint32_t qos = 0; qos < 3; qos++)
		json_array_append_new(audits, audit_json(qos, &restart->at_qos[qos]));
	return json_pack("{s:f, s:f, s:I, s:I, s:I, s:o}", "stop_ms", restart->stop_ms, "start_ms", restart->start_ms,
			 "sessions_lost", (json_int_t)restart->sessions_lost, "identifiers_reused",
			 (json_int_t)restart->identifiers_reused, "refused", (json_int_t)restart->refused, "at_qos",
			 audits);
}
