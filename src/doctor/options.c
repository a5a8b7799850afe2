#include "doctor/options.h"

#include "cli/command.h"

#include <string.h>

/* As many as `roost serve --connections` takes. */
#define CONNECTIONS_MAX 16000000u
#define RATE_MAX 100000000u
/* A larger message is cut up and queued in ways that a short calibration does not measure. */
#define PAYLOAD_BYTES_MAX 131072u

static const char USAGE[] =
	"Usage: roost doctor [--connections N] [OPTION...]\n\n"
	"Says how many connections this machine can hold, what breaks first, and how to fix it. Changes nothing, "
	"unless\n"
	"--apply is given.\n\n"
	"  -n, --connections N  number of connections to check for (1 to 16,000,000)\n"
	"      --json           print one JSON object\n"
	"      --fix-script     print a shell script that raises what is too low for N; with `undo`, the script takes "
	"it\n"
	"                       back\n"
	"      --apply          set what can be set while the machine runs; print each value's old and new setting "
	"and\n"
	"                       how to undo it. This lasts until the next boot; --fix-script makes it permanent\n"
	"      --plan           predict memory, processor time and network for N clients. Measures what a client "
	"costs\n"
	"                       here, in some seconds: starts a server on a free port, and some thousand clients\n"
	"      --store DIR      measure how long the device below DIR takes to sync, for a durable store there, with "
	"a\n"
	"                       temporary file, and say which rate to expect. Takes up to two seconds\n"
	"      --tls HOST:PORT  look at a listener with TLS instead: whether its certificate is trusted, its chain "
	"complete, and\n"
	"                       when it ends\n"
	"      --ca-file FILE   certificates to trust it by, PEM, in place of the system's\n"
	"      --redis URL      look at a Redis instead, for rules that send messages to its streams: its version, and "
	"whether\n"
	"                       it evicts or loses what it has confirmed; redis://[user:password@]host[:port], "
	"unix://, "
	"or all of a\n"
	"                       redis+cluster:// or redis+sentinel://, as in the configuration\n"
	"      --root DIR       read (and set) /proc, /sys and /etc below DIR: a copy of another machine's files\n"
	"      --help\n\n"
	"For --plan:\n"
	"      --rate R         messages per second that all clients together publish (0)\n"
	"      --payload B      bytes in each message, 0 to 131,072 (64)\n"
	"      --qos Q          0, 1 or 2 (0)\n"
	"      --subscribers S  clients that get each message (1)\n"
	"      --keepalive S    seconds between a client's pings, 0: none (60)\n"
	"      --transport T    how clients come: tcp, tls, ws or wss (tcp). With tls and wss also: how many "
	"handshakes "
	"the\n"
	"                       processors make, full and resumed\n\n"
	"Exit status: 0 if they fit, if everything was set, or if no number was given; 1 if something allows fewer "
	"than N,\n"
	"or could not be set or measured; 2 if the options are wrong. --fix-script: 0.\n";

enum {
	OPTION_JSON = CLI_FIRST,
	OPTION_FIX_SCRIPT,
	OPTION_APPLY,
	OPTION_PLAN,
	OPTION_ROOT,
	OPTION_STORE,
	OPTION_TLS,
	OPTION_CA_FILE,
	OPTION_REDIS,
	OPTION_RATE,
	OPTION_PAYLOAD,
	OPTION_QOS,
	OPTION_SUBSCRIBERS,
	OPTION_KEEPALIVE,
	OPTION_TRANSPORT,
};

static const struct option OPTIONS[] = {
	{"connections", required_argument, NULL, 'n'},
	{"json", no_argument, NULL, OPTION_JSON},
	{"fix-script", no_argument, NULL, OPTION_FIX_SCRIPT},
	{"apply", no_argument, NULL, OPTION_APPLY},
	{"plan", no_argument, NULL, OPTION_PLAN},
	{"root", required_argument, NULL, OPTION_ROOT},
	{"store", required_argument, NULL, OPTION_STORE},
	{"tls", required_argument, NULL, OPTION_TLS},
	{"ca-file", required_argument, NULL, OPTION_CA_FILE},
	{"redis", required_argument, NULL, OPTION_REDIS},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"payload", required_argument, NULL, OPTION_PAYLOAD},
	{"qos", required_argument, NULL, OPTION_QOS},
	{"subscribers", required_argument, NULL, OPTION_SUBSCRIBERS},
	{"keepalive", required_argument, NULL, OPTION_KEEPALIVE},
	{"transport", required_argument, NULL, OPTION_TRANSPORT},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

static const char COMMAND[] = "doctor";

static bool complain(const char *what)
{
	fprintf(stderr, "roost doctor: %s; `roost doctor --help` says more\n", what);
	return false;
}

static bool set_verb(struct doctor_options *options, enum doctor_verb verb)
{
	if (options->verb != DOCTOR_LOOK && options->verb != verb)
		return complain("--fix-script, --apply and --plan can be used one at a time only");
	options->verb = verb;
	return true;
}

static bool set_transport(struct doctor_options *options, const char *text)
{
	for (int i = 0; i < PLAN_TRANSPORTS; i++) {
		if (strcmp(text, plan_transport_name((enum plan_transport)i)) == 0) {
			options->transport = (enum plan_transport)i;
			return true;
		}
	}
	return cli_complain(COMMAND, "--transport", "must be tcp, tls, ws or wss");
}

struct parse {
	struct doctor_options *options;
	bool plans; /* an option of --plan is among them */
};

static bool take_option(void *context, int option, const char *text)
{
	struct parse *parse = context;
	struct doctor_options *options = parse->options;
	uint32_t number = 0;
	parse->plans = parse->plans || (option >= OPTION_RATE && option <= OPTION_TRANSPORT);
	switch (option) {
	case 'n':
		if (!cli_u32(COMMAND, "--connections", text, 1, CONNECTIONS_MAX, &number))
			return false;
		options->connections = number;
		return true;
	case OPTION_JSON:
		return options->json = true;
	case OPTION_FIX_SCRIPT:
		return set_verb(options, DOCTOR_FIX_SCRIPT);
	case OPTION_APPLY:
		return set_verb(options, DOCTOR_APPLY);
	case OPTION_PLAN:
		return set_verb(options, DOCTOR_PLAN);
	case OPTION_ROOT:
		options->root = text;
		return true;
	case OPTION_STORE:
		options->store = text;
		return true;
	case OPTION_TLS:
		options->tls = text;
		return true;
	case OPTION_CA_FILE:
		options->ca_file = text;
		return true;
	case OPTION_REDIS:
		options->redis = text;
		return true;
	case OPTION_RATE:
		if (!cli_u32(COMMAND, "--rate", text, 0, RATE_MAX, &number))
			return false;
		options->rate = number;
		return true;
	case OPTION_PAYLOAD:
		return cli_u32(COMMAND, "--payload", text, 0, PAYLOAD_BYTES_MAX, &options->payload_bytes);
	case OPTION_QOS:
		if (!cli_u32(COMMAND, "--qos", text, 0, 2, &number))
			return false;
		options->qos = (uint8_t)number;
		return true;
	case OPTION_SUBSCRIBERS:
		return cli_u32(COMMAND, "--subscribers", text, 1, CONNECTIONS_MAX, &options->subscribers);
	case OPTION_KEEPALIVE:
		return cli_u32(COMMAND, "--keepalive", text, 0, UINT16_MAX, &options->keepalive_s);
	case OPTION_TRANSPORT:
		return set_transport(options, text);
	}
	return false;
}

static bool check_together(const struct doctor_options *options, bool plans)
{
	if (options->verb != DOCTOR_LOOK && options->connections == 0)
		return complain("--fix-script, --apply and --plan need a number of --connections");
	if (plans && options->verb != DOCTOR_PLAN)
		return complain(
			"--rate, --payload, --qos, --subscribers, --keepalive and --transport are options of --plan");
	if (options->verb == DOCTOR_PLAN && *options->root != '\0')
		return complain("--plan measures this machine and cannot be combined with --root");
	if (options->tls != NULL && (options->verb != DOCTOR_LOOK || options->store != NULL || *options->root != '\0' ||
				     options->connections != 0))
		return complain("--tls looks at a listener, and goes with --ca-file and --json alone");
	if (options->redis != NULL && (options->verb != DOCTOR_LOOK || options->store != NULL ||
				       *options->root != '\0' || options->connections != 0 || options->tls != NULL))
		return complain("--redis looks at a Redis, and goes with --json alone");
	if (options->ca_file != NULL && options->tls == NULL)
		return complain("--ca-file is an option of --tls");
	if (options->store != NULL && (options->verb != DOCTOR_LOOK || *options->root != '\0'))
		return complain("--store measures this machine, without --fix-script, --apply, --plan and --root");
	if (options->json && (options->verb == DOCTOR_FIX_SCRIPT || options->verb == DOCTOR_APPLY))
		return complain("--json cannot be combined with --fix-script or --apply");
	if (options->verb == DOCTOR_PLAN && options->subscribers > options->connections)
		return complain("there cannot be more --subscribers than --connections");
	return true;
}

bool doctor_options_parse(int argc, char **argv, struct doctor_options *options, int *status)
{
	static const struct cli_command CLI = {
		.name = COMMAND, .letters = "n:", .options = OPTIONS, .usage = USAGE, .take = take_option};
	struct parse parse = {.options = options};
	*options = (struct doctor_options){.root = "", .payload_bytes = 64, .subscribers = 1, .keepalive_s = 60};
	return cli_parse(argc, argv, &CLI, &parse, status) && check_together(options, parse.plans);
}
