#include "bench/options/beside.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

static bool take_broker(void *owner, const char *text)
{
	struct beside *beside = owner;
	/* Place 0 is for the broker itself. */
	uint32_t place = beside->count == 0 ? 1 : beside->count;
	CHECK(place <= BESIDE_BROKERS_MAX);
	if (place == BESIDE_BROKERS_MAX) {
		fputs("roost bench: --beside: too many\n", stderr);
		return false;
	}
	const char *fault = broker_parse(text, &beside->brokers[place]);
	beside->count = place + 1;
	if (fault != NULL)
		fprintf(stderr, "roost bench: --beside: \"%s\" %s\n", text, fault);
	return fault == NULL;
}

static bool take_neighbours(void *owner, const char *text)
{
	struct beside *beside = owner;
	beside->neighbours = 1;
	return text == NULL || option_u32("--neighbour", text, 1, NEIGHBOURS_MAX, &beside->neighbours);
}

static bool take_transport(void *owner, const char *text)
{
	struct beside *beside = owner;
	for (uint8_t scheme = URL_TCP; scheme < URL_UNIX; scheme++) {
		if (strcmp(text, url_scheme_name(scheme)) == 0) {
			beside->scheme = scheme;
			return true;
		}
	}
	fprintf(stderr, "roost bench: --transport: \"%s\" is not tcp, tls, ws or wss\n", text);
	return false;
}

const struct option_row BESIDE_OPTIONS[] = {
	OPTION_ROW_CALL("transport", take_transport),
	OPTION_ROW_CALL("beside", take_broker),
	{"neighbour", OPTION_NUMERAL, .call = take_neighbours},
	OPTION_ROW_U32("rounds", struct beside, rounds, 1, BESIDE_ROUNDS_MAX),
	{"url", OPTION_URL, .offset = OPTION_FIELD(struct beside, brokers[0].url, struct url),
	 .given = OPTION_FIELD(struct beside, has_url, bool)},
	OPTION_ROW_U32("server-pid", struct beside, server_pid, 1, INT32_MAX),
	OPTION_ROW_TEXT("serve", struct beside, serve),
	{0},
};

const char *beside_complete(struct beside *beside, bool starts, uint32_t rounds_compared)
{
	if (beside->has_url && beside->serve != NULL)
		return "--serve is for a server that is started, and --url names one that runs";
	starts = !beside->has_url && (starts || beside->serve != NULL);
	if (starts && beside->server_pid != 0)
		return "--server-pid is of a server that runs already";
	struct broker *first = &beside->brokers[0];
	if (starts)
		*first = broker_self(beside->serve != NULL ? beside->serve : "");
	else if (!beside->has_url)
		first->url = (struct url){.host = "127.0.0.1", .port = URL_PORT_DEFAULT};
	if (!starts)
		snprintf(first->name, sizeof(first->name), "server");
	if (beside->rounds == 0)
		beside->rounds = beside->count > 1 ? rounds_compared : 1;
	if (beside->count == 0)
		beside->count = 1;
	bool starts_any = false;
	for (uint32_t i = 0; i < beside->count; i++) {
		beside->brokers[i].scheme = beside->scheme;
		starts_any = starts_any || beside->brokers[i].kind != BROKER_RUNNING;
	}
	if (!starts_any && beside->scheme != URL_TCP)
		return "--transport is for brokers that are started: a URL says how one is reached that runs";
	for (uint32_t i = 1; i < beside->count; i++)
		broker_name_apart(&beside->brokers[i], beside->brokers, i);
	return NULL;
}

bool beside_open(const struct beside *beside, const struct transport_options *options, struct target *targets,
		 struct neighbours *neighbours)
{
	CHECK(beside->count > 0 && beside->count <= BESIDE_BROKERS_MAX);
	*neighbours = (struct neighbours){0};
	memset(targets, 0, beside->count * sizeof(*targets));
	for (uint32_t i = 0; i < beside->count; i++) {
		if (!broker_open(&beside->brokers[i], i == 0 ? (pid_t)beside->server_pid : 0, options, &targets[i]))
			return false;
	}
	return neighbours_start(neighbours, beside->neighbours);
}

void beside_close(const struct beside *beside, struct target *targets, struct neighbours *neighbours)
{
	neighbours_stop(neighbours);
	for (uint32_t i = 0; i < beside->count; i++)
		target_close(&targets[i]);
}
