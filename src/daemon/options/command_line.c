#include "daemon/options/command_line.h"

#include "auth/outside/question.h"
#include "base/check.h"
#include "daemon/options/bridge_queues.h"
#include "daemon/options/config_file.h"
#include "daemon/options/listener_options.h"
#include "redis/redis_slots.h"
#include "relay/bridging/upstream_dial.h"
#include "relay/hook/hook_files.h"

#include <string.h>

static bool argument_complain(FILE *faults, const char *argument, const char *fault)
{
	fprintf(faults, "roost serve: %s: %s; `roost serve --help` says more\n", argument, fault);
	return false;
}

/* The option's name in an argument such as --name or --name=value. False: it is no option, or none has a name of such
 * length. */
static bool option_in(const char *argument, char name[64])
{
	if (strncmp(argument, "--", 2) != 0)
		return false;
	size_t size = strcspn(argument + 2, "=");
	if (size >= 64)
		return false;
	memcpy(name, argument + 2, size);
	name[size] = '\0';
	return true;
}

/* Sets the option in argv[*at], whose value may follow it; moves *at to the last argument used. */
static bool read_argument(int argc, char **argv, int *at, struct options *options, FILE *faults)
{
	char fault[OPTION_FAULT_BYTES_MAX];
	CHECK(*at > 0 && *at < argc);
	char name[64];
	const char *argument = argv[*at];
	if (strncmp(argument, "--", 2) != 0)
		return argument_complain(faults, argument, "an option is expected here");
	const char *equals = strchr(argument, '=');
	if (!option_in(argument, name))
		return argument_complain(faults, argument, "there is no such option");

	bool negated = strncmp(name, "no-", 3) == 0;
	const struct option_spec *spec = option_find(negated ? name + 3 : name);
	if (spec == NULL || (negated && !option_is_switch(spec)))
		return argument_complain(faults, argument, "there is no such option");
	const char *text = equals != NULL ? equals + 1 : NULL;
	if (text == NULL && option_is_switch(spec)) {
		text = negated ? "false" : "true";
	} else if (text == NULL) {
		if (*at + 1 == argc)
			return argument_complain(faults, argument, "a value is missing");
		text = argv[++*at];
	}
	return option_set(spec, options, text, fault) || argument_complain(faults, argument, fault);
}

/* The configuration file's name in argv[*at] or after it; NULL: this is another option. */
static const char *config_argument(int argc, char **argv, int *at)
{
	static const char NAME[] = "--config";
	size_t size = sizeof(NAME) - 1;
	if (strncmp(argv[*at], NAME, size) != 0)
		return NULL;
	if (argv[*at][size] == '=')
		return argv[*at] + size + 1;
	if (argv[*at][size] != '\0')
		return NULL;
	return *at + 1 < argc ? argv[++*at] : "";
}

/* Reads the file first, so that the command line takes precedence wherever --config is. */
static bool read_config(int argc, char **argv, struct options *options, FILE *faults)
{
	for (int i = 1; i < argc; i++) {
		const char *path = config_argument(argc, argv, &i);
		if (path != NULL && *path == '\0')
			return argument_complain(faults, "--config", "a file name is missing");
		if (path != NULL && !config_file_read(path, options, faults))
			return false;
	}
	return true;
}

/* So that a mistake is told now, and not when the first event is to be sent. */
static bool check_hooks(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct hooks *hooks = &options->items.hooks;
	char fault[ITEM_FAULT_BYTES_MAX];
	for (uint32_t i = 0; i < hooks->count; i++) {
		if (hook_files_check(&hooks->items[i], fault))
			continue;
		fprintf(faults, "roost: %s:%u: hooks: %s: %s\n", command_line_config(argc, argv), hooks->items[i].line,
			hooks->items[i].name, fault);
		return false;
	}
	return true;
}

static bool check_bridges(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct mqtt_bridges *bridges = &options->items.bridges;
	char fault[ITEM_FAULT_BYTES_MAX];
	for (uint32_t i = 0; i < bridges->count; i++) {
		if (upstream_files_check(&bridges->items[i], fault))
			continue;
		fprintf(faults, "roost: %s:%u: bridges: %s: %s\n", command_line_config(argc, argv),
			bridges->items[i].line, bridges->items[i].name, fault);
		return false;
	}
	return true;
}

/* Items are in the file alone. */
static bool check_items(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct item_kind *kind;
	if (!check_hooks(argc, argv, options, faults) || !check_bridges(argc, argv, options, faults))
		return false;
	if (options->settings.access.redis_url[0] != '\0')
		return true;
	for (size_t i = 0; (kind = item_kind_at(i)) != NULL; i++) {
		if (!kind->needs_redis || item_count(kind, &options->items) == 0)
			continue;
		fprintf(faults,
			"roost: %s:%u: %s: a %s needs the server that the option redis names, and there is none\n",
			command_line_config(argc, argv), item_line(kind, item_look(kind, &options->items, 0)),
			kind->list, kind->name);
		return false;
	}
	return true;
}

/* Begins a line about an option: with its place, if it is from the file. */
static void begin_fault(int argc, char **argv, const struct options *options, const char *name, FILE *faults)
{
	uint32_t line = options->lines[option_place(option_find(name))];
	if (line != 0)
		fprintf(faults, "%s:%u: ", command_line_config(argc, argv), line);
	else
		fputs("roost serve: ", faults);
	fprintf(faults, "%s: ", name);
}

/* A table is made anew under another key and then renamed, which a cluster does on one node only: its keys need a hash
 * tag. Of a URL that is wrong is told elsewhere. */
static bool is_spread_table(const struct settings *settings)
{
	struct redis_url url;
	char fault[REDIS_URL_FAULT_BYTES];
	char key[SETTINGS_NAME_BYTES_MAX + 8];
	if (!redis_url_parse(settings->access.redis_url, &url, fault) || url.kind != REDIS_CLUSTER)
		return false;
	snprintf(key, sizeof(key), "%s:node", settings->presence_table);
	return redis_key_slot(slice_string(key)) != redis_key_slot(slice_string(settings->presence_table));
}

static bool check_presence_table(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct settings *settings = &options->settings;
	bool has_redis = settings->access.redis_url[0] != '\0';
	if (settings->presence_table[0] == '\0' || (has_redis && !is_spread_table(settings)))
		return true;
	begin_fault(argc, argv, options, "presence-table", faults);
	if (has_redis)
		fprintf(faults, "in a cluster all of its keys have to be on one node: write {%s}, with the braces\n",
			settings->presence_table);
	else
		fputs("it is kept in the server that the option redis names, and there is none\n", faults);
	return false;
}

static bool check_auth_redis(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct access_settings *access = &options->settings.access;
	struct outside_key key;
	if (access->auth_redis[0] == '\0')
		return true;
	const char *wrong = outside_key_read(&key, access->auth_redis);
	if (wrong == NULL && access->redis_url[0] != '\0')
		return true;
	begin_fault(argc, argv, options, "auth-redis", faults);
	if (wrong != NULL)
		fprintf(faults, "\"%s\": %s\n", access->auth_redis, wrong);
	else
		fputs("users are looked up in the server that the option redis names, and there is none\n", faults);
	return false;
}

static bool check_auth_http(int argc, char **argv, const struct options *options, FILE *faults)
{
	static const char *const PARTS[] = {"auth-http-ca-file", "auth-http-token-file", "auth-http-secret-file"};
	const struct access_settings *access = &options->settings.access;
	if (access->auth_http[0] != '\0' && access->auth_redis[0] != '\0') {
		begin_fault(argc, argv, options, "auth-http", faults);
		fputs("clients are asked about there or in Redis (auth-redis), not in both\n", faults);
		return false;
	}
	for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]) && access->auth_http[0] == '\0'; i++) {
		if (option_is_empty(option_find(PARTS[i]), options))
			continue;
		begin_fault(argc, argv, options, PARTS[i], faults);
		fputs("is for the server that the option auth-http names, and there is none\n", faults);
		return false;
	}
	return true;
}

/* A word of the subjects of NATS. */
static bool is_subject_word(const char *name, const char *also)
{
	for (const char *at = name; *at != '\0'; at++) {
		bool is_alphanumeric =
			(*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
		if (!is_alphanumeric && strchr(also, *at) == NULL)
			return false;
	}
	return *name != '\0';
}

static bool check_cluster(int argc, char **argv, const struct options *options, FILE *faults)
{
	static const char *const PARTS[] = {"cluster-name", "cluster-credentials-file", "cluster-ca-file",
					    "cluster-certificate-file", "cluster-key-file"};
	const struct cluster_settings *cluster = &options->settings.cluster;
	for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]) && !cluster_is_on(cluster); i++) {
		if (option_is_empty(option_find(PARTS[i]), options))
			continue;
		begin_fault(argc, argv, options, PARTS[i], faults);
		fputs("is for the cluster whose NATS servers the option cluster-nats names, and there is none\n",
		      faults);
		return false;
	}
	if (!cluster_is_on(cluster) || is_subject_word(cluster->name, "-_"))
		return true;
	begin_fault(argc, argv, options, cluster->name[0] != '\0' ? "cluster-name" : "cluster-nats", faults);
	if (cluster->name[0] != '\0')
		fprintf(faults, "\"%s\": letters, digits, dashes and underscores are wanted here\n", cluster->name);
	else
		fputs("a cluster needs a name, too: the option cluster-name\n", faults);
	return false;
}

/* What must hold between two options. */
static bool check_together(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct settings *settings = &options->settings;
	if (!listener_options_check(options, command_line_config(argc, argv), faults) ||
	    !check_items(argc, argv, options, faults) || !check_presence_table(argc, argv, options, faults) ||
	    !check_auth_redis(argc, argv, options, faults) || !check_auth_http(argc, argv, options, faults) ||
	    !check_cluster(argc, argv, options, faults))
		return false;
	if (settings->queue_bytes_max >= settings->packet_bytes_max)
		return true;
	begin_fault(argc, argv, options, "queue-bytes-max", faults);
	fprintf(faults,
		"%u is less than packet-bytes-max, which is %u: a queue must hold the largest "
		"packet\n",
		settings->queue_bytes_max, settings->packet_bytes_max);
	return false;
}

/* Lists of listeners on the command line replace those of the file: nobody could take an entry of it back otherwise. */
static void clear_replaced(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		char name[64];
		const char *argument = argv[i];
		if (config_argument(argc, argv, &i) != NULL || !option_in(argument, name))
			continue;
		const struct option_spec *spec = option_find(name);
		if (spec == option_find("listen"))
			listener_options_clear(options);
		else if (spec != NULL && option_is_list(spec) && option_is_of_listener(spec))
			listener_option_clear(spec, options);
	}
}

bool command_line_read(int argc, char **argv, struct options *options, FILE *faults)
{
	if (!read_config(argc, argv, options, faults))
		return false;
	clear_replaced(argc, argv, options);
	for (int i = 1; i < argc; i++) {
		if (config_argument(argc, argv, &i) == NULL && !read_argument(argc, argv, &i, options, faults))
			return false;
	}
	CHECK(options->settings.listener_count <= SETTINGS_LISTENERS_MAX);
	bridge_queues_take(&options->settings, &options->items.bridges);
	char fault[OPTION_FAULT_BYTES_MAX];
	if (!options_complete(options, fault))
		return argument_complain(faults, "--store", fault);
	return check_together(argc, argv, options, faults);
}

const char *command_line_config(int argc, char **argv)
{
	const char *last = "";
	for (int i = 1; i < argc; i++) {
		const char *path = config_argument(argc, argv, &i);
		if (path != NULL)
			last = path;
	}
	return last;
}
