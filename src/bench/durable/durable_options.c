#include "bench/durable/durable_options.h"

#include "bench/measure/quiet.h"
#include "bench/measure/stamp.h"
#include "bench/options/options.h"
#include "bench/options/transport_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* One thread's descriptor table holds them. */
#define CLIENTS_MAX 19000u

static const char USAGE[] =
	"Usage: roost bench durable [OPTION...]\n\n"
	"Publishes to sessions that outlive their connections. A share of the subscribers is offline while messages\n"
	"flow; at the end they come back and take what has waited for them. Every acknowledged message must arrive in\n"
	"every session, at QoS 2 exactly once.\n\n"
	"      --publishers P         each with a topic of its own (500)\n"
	"      --subscribers S        of one topic each (500)\n"
	"      --offline PERCENT      subscribers that are offline while messages flow, 0 to 100 (50)\n"
	"      --window W             unacknowledged messages of a publisher, 1 to 4096 (32)\n"
	"      --rate N               messages a second, of all publishers together; 0: as the windows allow (0)\n"
	"      --size BYTES           size of a payload, 24 to 65536 (200)\n"
	"      --qos 0|1|2            QoS of publishers and subscriptions (1)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (5)\n"
	"      --duration S           measured time, 1 to 600 s (10)\n"
	"      --messages N           end the measured time when so many have been acknowledged (no limit)\n"
	"      --warm-up MS           unmeasured time before it, 0 to 60000 ms (1000)\n"
	"      --quiet MS             when nothing has come for so long, and pings are answered, what has not come is\n"
	"                             missing (2000)\n"
	"      --disk PATH            a directory on the server's file system: report what is written to its device, "
	"and\n"
	"                             how long the device takes to sync\n"
	"      --admin URL            http://HOST:PORT of the server's metrics: report what it dropped\n"
	"      --url URL              the broker (tcp://127.0.0.1:1883)\n"
	"      --server-pid PID       its process (found by its port)\n"
	"      --topic-prefix P       topics begin with P (durable/)\n"
	"      --client-prefix P      each client id is P and a number (durable-)\n"
	"      --json                 print one flat JSON object on stdout\n"
	"      --help\n\n" TRANSPORT_USAGE "\n"
	"Exit status: 0 if nothing acknowledged is missing, doubled at QoS 0 or 2, or out of order; 1 if something is, "
	"or\n"
	"if the run failed; 2 if the options are wrong.\n";

static bool take_admin(void *owner, const char *text)
{
	static const char scheme[] = "http://";
	struct durable_options *options = owner;
	char url[URL_HOST_BYTES + 32];
	bool is_http = strncmp(text, scheme, sizeof(scheme) - 1) == 0;
	snprintf(url, sizeof(url), "tcp://%s", is_http ? text + sizeof(scheme) - 1 : text);
	options->has_admin = true;
	return option_url("--admin", url, &options->admin);
}

#define ROW(name, field, least, most) OPTION_ROW_U32(name, struct durable_options, field, least, most)

static const struct option_row OPTIONS[] = {
	ROW("publishers", plan.cast.publishers, 1, CLIENTS_MAX),
	ROW("subscribers", plan.cast.exact, 1, CLIENTS_MAX),
	ROW("offline", plan.cast.offline_percent, 0, 100),
	ROW("window", plan.window, 1, 4096),
	ROW("rate", plan.rate, 0, 10000000),
	ROW("size", plan.size, STAMP_BYTES, UINT16_MAX + 1),
	OPTION_ROW("qos", OPTION_QOS, struct durable_options, plan.cast.qos, uint8_t),
	OPTION_ROW("version", OPTION_VERSION, struct durable_options, plan.version, uint8_t),
	ROW("duration", duration_s, 1, 600),
	OPTION_ROW_LIMITED("messages", OPTION_U64, struct durable_options, messages, uint64_t, 1, UINT64_MAX),
	ROW("warm-up", warm_up_ms, 0, 60000),
	ROW("quiet", quiet_ms, 0, 600000),
	OPTION_ROW_TEXT("disk", struct durable_options, disk),
	OPTION_ROW_CALL("admin", take_admin),
	OPTION_ROW("url", OPTION_URL, struct durable_options, url, struct url),
	ROW("server-pid", server_pid, 1, INT32_MAX),
	OPTION_ROW_PREFIX("topic-prefix", struct durable_options, plan.cast.topic_prefix, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_PREFIX("client-prefix", struct durable_options, plan.client_prefix, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_SWITCH("json", struct durable_options, json),
	{0},
};

bool durable_options_parse(int argc, char **argv, struct durable_options *options, int *status)
{
	static const struct option_table tables[] = {
		{OPTIONS, 0}, {TRANSPORT_OPTIONS, offsetof(struct durable_options, transport)}, {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	*options = (struct durable_options){
		.plan = {.cast = {.topic_prefix = "durable/",
				  .publishers = 500,
				  .exact = 500,
				  .offline_percent = 50,
				  .qos = 1},
			 .client_prefix = "durable-",
			 .size = 200,
			 .window = 32,
			 .version = 5},
		.url = {.host = "127.0.0.1", .port = URL_PORT_DEFAULT},
		.duration_s = 10,
		.warm_up_ms = 1000,
		.quiet_ms = QUIET_MS,
	};
	if (!options_take(argc, argv, &set, options, status) || !options_none_left(argc, argv, optind))
		return false;
	*status = BENCH_EXIT_USAGE;
	const char *fault = transport_options_fault(&options->transport);
	if (cast_clients(&options->plan.cast) > CLIENTS_MAX)
		fault = "--publishers and --subscribers together are at most 19,000";
	if (fault != NULL)
		fprintf(stderr, "roost bench durable: %s\n", fault);
	return fault == NULL;
}
