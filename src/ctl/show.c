#include "ctl/show.h"

#include <stdint.h>
#include <string.h>

void show_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

static void show_value(const json_t *value, FILE *out)
{
	if (json_is_string(value))
		show_text(json_string_value(value), out);
	else if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		fprintf(out, "%.6g", json_real_value(value));
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "yes" : "no", out);
	else
		fputs("-", out);
}

static void show_field(const json_t *object, const char *name, const char *before, FILE *out)
{
	fputs(before, out);
	show_value(json_object_get(object, name), out);
}

static void show_named(const char *name, const json_t *value, FILE *out)
{
	fprintf(out, "%-26s ", name);
	show_value(value, out);
	fputc('\n', out);
}

void show_clients(const json_t *answer, FILE *out)
{
	size_t i;
	const json_t *client;
	static const char *const FIELDS[] = {"state",         "protocol",        "address",
					     "subscriptions", "queued_messages", "dropped_messages"};
	json_array_foreach(json_object_get(answer, "clients"), i, client)
	{
		show_field(client, "client_id", "", out);
		for (size_t field = 0; field < sizeof(FIELDS) / sizeof(FIELDS[0]); field++)
			show_field(client, FIELDS[field], "\t", out);
		fputc('\n', out);
	}
}

void show_fields(const json_t *answer, FILE *out)
{
	const char *name;
	json_t *value;
	size_t i;
	const json_t *line;
	json_object_foreach((json_t *)(uintptr_t)answer, name, value)
	{
		if (json_is_array(value)) {
			json_array_foreach(value, i, line)
			{
				show_value(line, out);
				fputc('\n', out);
			}
		} else if (!json_is_object(value)) {
			show_named(name, value, out);
		}
	}
}

void show_client(const json_t *answer, FILE *out)
{
	const char *name;
	json_t *value;
	size_t i;
	const json_t *subscription;
	json_object_foreach((json_t *)(uintptr_t)answer, name, value)
	{
		if (json_is_array(value) || json_is_object(value))
			continue;
		show_named(name, value, out);
	}
	json_array_foreach(json_object_get(answer, "subscription_list"), i, subscription)
	{
		show_field(subscription, "qos", "subscription at QoS ", out);
		show_field(subscription, "filter", "      ", out);
		fputc('\n', out);
	}
}

void show_revocations(const json_t *answer, FILE *out)
{
	size_t i;
	const json_t *revocation;
	json_array_foreach(json_object_get(answer, "revocations"), i, revocation)
	{
		show_field(revocation, "kind", "", out);
		show_field(revocation, "id", "\t", out);
		show_field(revocation, "until", "\t", out);
		fputc('\n', out);
	}
}

void show_stats(const json_t *answer, FILE *out)
{
	show_fields(answer, out);
	show_fields(json_object_get(answer, "clients"), out);
	show_fields(json_object_get(answer, "memory"), out);
	show_fields(json_object_get(answer, "counters"), out);
}
