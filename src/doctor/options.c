#include "doctor/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* As many as `roost serve --connections` takes. */
#define CONNECTIONS_MAX 16000000u
#define RATE_MAX 100000000u
/* A larger message is cut up and queued in ways that a short calibration does not measure. */
#define PAYLOAD_BYTES_MAX 131072u

static const char USAGE[] =
	"Usage: roost doctor [--connections N] [OPTION...]\n\n"
	"Says how many connections this machine can hold, what breaks first, and what mends it. Changes nothing, "
	"unless\n"
	"--apply asks for it.\n\n"
	"  -n, --connections N  how many are wished (1 to 16,000,000)\n"
	"      --json           one JSON object on stdout\n"
	"      --fix-script     a shell script on stdout that mends what is too low for N, and takes it back with "
	"`undo`\n"
	"      --apply          set now what can be set while the machine runs; says what it was, what it is and how "
	"to take\n"
	"                       it back. It lasts until the machine is started again: --fix-script keeps it\n"
	"      --plan           predict memory, processor time and network for N clients, from costs that are measured "
	"here\n"
	"                       in some seconds: a server is started on a free port, with some thousand clients\n"
	"      --root DIR       read (and set) /proc, /sys and /etc below DIR: a copy of another machine's\n"
	"      --help\n\n"
	"For --plan:\n"
	"      --rate R         messages that all clients together publish a second (0)\n"
	"      --payload B      bytes in each, 0 to 131,072 (64)\n"
	"      --qos Q          0, 1 or 2 (0)\n"
	"      --subscribers S  how many get each message (1)\n"
	"      --keepalive S    seconds between a client's pings, 0: none (60)\n\n"
	"Exit status: 0 they fit, or it was set, or no number was wished; 1 something allows fewer than N, or could "
	"not be\n"
	"set or measured; 2 wrong options. --fix-script: 0.\n";

enum {
	OPTION_JSON = 256,
	OPTION_FIX_SCRIPT,
	OPTION_APPLY,
	OPTION_PLAN,
	OPTION_ROOT,
	OPTION_RATE,
	OPTION_PAYLOAD,
	OPTION_QOS,
	OPTION_SUBSCRIBERS,
	OPTION_KEEPALIVE,
	OPTION_HELP
};

static const struct option OPTIONS[] = {
	{"connections", required_argument, NULL, 'n'},
	{"json", no_argument, NULL, OPTION_JSON},
	{"fix-script", no_argument, NULL, OPTION_FIX_SCRIPT},
	{"apply", no_argument, NULL, OPTION_APPLY},
	{"plan", no_argument, NULL, OPTION_PLAN},
	{"root", required_argument, NULL, OPTION_ROOT},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"payload", required_argument, NULL, OPTION_PAYLOAD},
	{"qos", required_argument, NULL, OPTION_QOS},
	{"subscribers", required_argument, NULL, OPTION_SUBSCRIBERS},
	{"keepalive", required_argument, NULL, OPTION_KEEPALIVE},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static bool complain(const char *what)
{
	fprintf(stderr, "roost doctor: %s; `roost doctor --help` tells more\n", what);
	return false;
}

/* Digits may be grouped by _ or , as `roost bench` takes them: 1_000_000. */
static bool parse_number(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;
	bool good = *text >= '0' && *text <= '9';
	for (const char *at = text; good && *at != '\0'; at++) {
		if (*at == '_' || *at == ',')
			continue;
		good = *at >= '0' && *at <= '9' && value <= max;
		value = value * 10 + (uint64_t)(*at - '0');
	}
	if (!good || value < min || value > max) {
		fprintf(stderr, "roost doctor: %s: \"%s\" is not a number from %u to %u\n", name, text, min, max);
		return false;
	}
	*out = (uint32_t)value;
	return true;
}

static bool set_verb(struct doctor_options *options, enum doctor_verb verb)
{
	if (options->verb != DOCTOR_LOOK && options->verb != verb)
		return complain("--fix-script, --apply and --plan go one at a time");
	options->verb = verb;
	return true;
}

static bool take_option(struct doctor_options *options, int option, const char *text, bool *plans)
{
	uint32_t number = 0;
	*plans = *plans || (option >= OPTION_RATE && option <= OPTION_KEEPALIVE);
	switch (option) {
	case 'n':
		if (!parse_number("--connections", text, 1, CONNECTIONS_MAX, &number))
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
	case OPTION_RATE:
		if (!parse_number("--rate", text, 0, RATE_MAX, &number))
			return false;
		options->rate = number;
		return true;
	case OPTION_PAYLOAD:
		return parse_number("--payload", text, 0, PAYLOAD_BYTES_MAX, &options->payload_bytes);
	case OPTION_QOS:
		if (!parse_number("--qos", text, 0, 2, &number))
			return false;
		options->qos = (uint8_t)number;
		return true;
	case OPTION_SUBSCRIBERS:
		return parse_number("--subscribers", text, 1, CONNECTIONS_MAX, &options->subscribers);
	case OPTION_KEEPALIVE:
		return parse_number("--keepalive", text, 0, UINT16_MAX, &options->keepalive_s);
	default: /* getopt has said what is wrong */
		return false;
	}
}

static bool check_together(const struct doctor_options *options, bool plans)
{
	if (options->verb != DOCTOR_LOOK && options->connections == 0)
		return complain("--fix-script, --apply and --plan are for a number of --connections");
	if (plans && options->verb != DOCTOR_PLAN)
		return complain("--rate, --payload, --qos, --subscribers and --keepalive belong to --plan");
	if (options->verb == DOCTOR_PLAN && *options->root != '\0')
		return complain("--plan measures this machine: it goes without --root");
	if (options->json && (options->verb == DOCTOR_FIX_SCRIPT || options->verb == DOCTOR_APPLY))
		return complain("--json goes without --fix-script and --apply");
	if (options->verb == DOCTOR_PLAN && options->subscribers > options->connections)
		return complain("a message cannot have more --subscribers than there are --connections");
	return true;
}

bool doctor_options_parse(int argc, char **argv, struct doctor_options *options, int *status)
{
	bool plans = false;
	*options = (struct doctor_options){.root = "", .payload_bytes = 64, .subscribers = 1, .keepalive_s = 60};
	*status = DOCTOR_EXIT_USAGE;
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, "n:", OPTIONS, NULL)) != -1;) {
		if (option == OPTION_HELP) {
			fputs(USAGE, stdout);
			*status = DOCTOR_EXIT_OK;
			return false;
		}
		if (!take_option(options, option, optarg, &plans))
			return false;
	}
	if (optind < argc) {
		fprintf(stderr, "roost doctor: \"%s\" is not an option\n", argv[optind]);
		return false;
	}
	return check_together(options, plans);
}
