#include "daemon/options/config_file.h"

#include "base/check.h"
#include "daemon/options/listener_options.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#define LISTENER_URL_KEY "url"

struct config_file {
	const char *path;
	yaml_document_t document;
	struct options *options;
	FILE *faults;
};

static bool config_complain(const struct config_file *file, const yaml_node_t *at, const char *key, const char *fault)
{
	fprintf(file->faults, "roost: %s:%zu: %s%s%s\n", file->path, at->start_mark.line + 1, key,
		*key != '\0' ? ": " : "", fault);
	return false;
}

static const char *scalar_text(const yaml_node_t *node)
{
	CHECK(node->type == YAML_SCALAR_NODE);
	return (const char *)node->data.scalar.value;
}

static bool same_key(const char *one, const char *other)
{
	const struct option_spec *spec = option_find(one);
	return strcmp(one, other) == 0 || (spec != NULL && spec == option_find(other));
}

static bool was_before(struct config_file *file, const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
	for (const yaml_node_pair_t *other = mapping->data.mapping.pairs.start; other < pair; other++) {
		const yaml_node_t *earlier = yaml_document_get_node(&file->document, other->key);
		if (key->type == YAML_SCALAR_NODE && earlier->type == YAML_SCALAR_NODE &&
		    same_key(scalar_text(key), scalar_text(earlier)))
			return true;
	}
	return false;
}

/* Where a value goes: an entry of `listen`, or the options of all. */
#define FOR_ALL UINT32_MAX

static bool set_scalar(struct config_file *file, const struct option_spec *spec, const char *key, uint32_t listener,
		       const yaml_node_t *value)
{
	CHECK(listener == FOR_ALL || option_is_of_listener(spec));
	char fault[OPTION_FAULT_BYTES_MAX];
	if (value->type != YAML_SCALAR_NODE)
		return config_complain(file, value, key, "a single value is wanted here");
	if (strlen(scalar_text(value)) != value->data.scalar.length)
		return config_complain(file, value, key, "the value contains a null character");
	bool set = listener == FOR_ALL ? option_set(spec, file->options, scalar_text(value), fault)
				       : listener_option_set(spec, file->options, listener, scalar_text(value), fault);
	return set || config_complain(file, value, key, fault);
}

/* A value, or a list of them where the option takes one. */
static bool set_value(struct config_file *file, const struct option_spec *spec, const char *key, uint32_t listener,
		      const yaml_node_t *value)
{
	if (!option_is_list(spec) || value->type == YAML_SCALAR_NODE)
		return set_scalar(file, spec, key, listener, value);
	if (value->type != YAML_SEQUENCE_NODE)
		return config_complain(file, value, key,
				       "a list is wanted here, with a line such as \"- value\" for each value");
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		const yaml_node_t *node = yaml_document_get_node(&file->document, *item);
		if (!set_scalar(file, spec, key, listener, node))
			return false;
	}
	return true;
}

/* ---- entries of `listen` ---- */

static const yaml_node_t *find_url(struct config_file *file, const yaml_node_t *mapping)
{
	for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
		if (key->type == YAML_SCALAR_NODE && strcmp(scalar_text(key), LISTENER_URL_KEY) == 0)
			return yaml_document_get_node(&file->document, pair->value);
	}
	return NULL;
}

static bool set_own_key(struct config_file *file, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
			uint32_t listener)
{
	const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
	if (key->type != YAML_SCALAR_NODE)
		return config_complain(file, key, "", "a key is wanted here");
	if (was_before(file, mapping, pair))
		return config_complain(file, key, scalar_text(key), "the key appears for the second time");
	if (strcmp(scalar_text(key), LISTENER_URL_KEY) == 0)
		return true;
	const struct option_spec *spec = option_find(scalar_text(key));
	if (spec == NULL || !option_is_of_listener(spec))
		return config_complain(file, key, scalar_text(key),
				       "a listener has no such key; it may have " LISTENER_URL_KEY
				       " and those options that begin with tls_, websocket_, unix_ or proxy_, but for "
				       "tickets and handshakes");
	return set_value(file, spec, scalar_text(key), listener, yaml_document_get_node(&file->document, pair->value));
}

/* A URL alone, or a mapping with the URL and what holds for this listener alone. */
static bool add_entry(struct config_file *file, const struct option_spec *spec, const char *key,
		      const yaml_node_t *entry)
{
	uint32_t listener = file->options->settings.listener_count;
	const yaml_node_t *url = entry->type == YAML_MAPPING_NODE ? find_url(file, entry) : entry;
	if (url == NULL)
		return config_complain(file, entry, key, "this listener has no " LISTENER_URL_KEY);
	if (!set_scalar(file, spec, key, FOR_ALL, url))
		return false;
	CHECK_EQ(file->options->settings.listener_count, listener + 1);
	file->options->listeners.lines[listener] = (uint32_t)entry->start_mark.line + 1;
	if (entry->type != YAML_MAPPING_NODE)
		return true;
	for (const yaml_node_pair_t *pair = entry->data.mapping.pairs.start; pair < entry->data.mapping.pairs.top;
	     pair++) {
		if (!set_own_key(file, entry, pair, listener))
			return false;
	}
	return true;
}

static bool set_listen(struct config_file *file, const struct option_spec *spec, const char *key,
		       const yaml_node_t *value)
{
	if (value->type != YAML_SEQUENCE_NODE)
		return add_entry(file, spec, key, value);
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		if (!add_entry(file, spec, key, yaml_document_get_node(&file->document, *item)))
			return false;
	}
	return true;
}

/* ---- lists of items, such as the rules in `streams` ---- */

struct item_place {
	struct config_file *file;
	const struct item_kind *kind;
	void *item;
};

static bool complain_of_item(const struct item_place *place, const yaml_node_t *at, const char *key, const char *fault)
{
	fprintf(place->file->faults, "roost: %s:%zu:%zu: %s: %s%s%s\n", place->file->path, at->start_mark.line + 1,
		at->start_mark.column + 1, place->kind->list, key, *key != '\0' ? ": " : "", fault);
	return false;
}

static bool set_in_item(const struct item_place *place, const struct item_key *key, const yaml_node_t *value)
{
	char fault[ITEM_FAULT_BYTES_MAX];
	if (value->type != YAML_SCALAR_NODE)
		return complain_of_item(place, value, key->name, "a single value is wanted here");
	if (strlen(scalar_text(value)) != value->data.scalar.length)
		return complain_of_item(place, value, key->name, "the value contains a null character");
	return key->set(place->item, scalar_text(value), fault) || complain_of_item(place, value, key->name, fault);
}

static bool set_item_pair(const struct item_place *place, const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
	yaml_document_t *document = &place->file->document;
	const yaml_node_t *node = yaml_document_get_node(document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(document, pair->value);
	char fault[ITEM_FAULT_BYTES_MAX];
	if (node->type != YAML_SCALAR_NODE)
		return complain_of_item(place, node, "", "a key is wanted here");
	if (was_before(place->file, mapping, pair))
		return complain_of_item(place, node, scalar_text(node), "the key appears for the second time");
	const struct item_key *key = place->kind->key(scalar_text(node));
	if (key == NULL) {
		item_fault(fault, "a %s has no such key; it has %s", place->kind->name, place->kind->key_names);
		return complain_of_item(place, node, scalar_text(node), fault);
	}
	if (!key->is_list || value->type != YAML_SEQUENCE_NODE)
		return set_in_item(place, key, value);
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		if (!set_in_item(place, key, yaml_document_get_node(document, *item)))
			return false;
	}
	return true;
}

static bool add_item(struct config_file *file, const struct item_kind *kind, const yaml_node_t *entry)
{
	struct item_place place = {.file = file, .kind = kind};
	char fault[ITEM_FAULT_BYTES_MAX];
	if (entry->type != YAML_MAPPING_NODE) {
		item_fault(fault, "a %s is a mapping, such as \"%s\"", kind->name, kind->example);
		return complain_of_item(&place, entry, "", fault);
	}
	place.item = item_add(kind, &file->options->items, (uint32_t)entry->start_mark.line + 1);
	if (place.item == NULL) {
		item_fault(fault, "more than %u %ss", kind->most, kind->name);
		return complain_of_item(&place, entry, "", fault);
	}
	for (const yaml_node_pair_t *pair = entry->data.mapping.pairs.start; pair < entry->data.mapping.pairs.top;
	     pair++) {
		if (!set_item_pair(&place, entry, pair))
			return false;
	}
	return item_complete(kind, &file->options->items, fault) || complain_of_item(&place, entry, "", fault);
}

static bool set_items(struct config_file *file, const struct item_kind *kind, const yaml_node_t *value)
{
	const struct item_place place = {.file = file, .kind = kind};
	char fault[ITEM_FAULT_BYTES_MAX];
	bool is_empty = value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0;
	if (is_empty)
		return true;
	if (value->type != YAML_SEQUENCE_NODE) {
		item_fault(fault, "a list of %ss is wanted here, each a mapping", kind->name);
		return complain_of_item(&place, value, "", fault);
	}
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		if (!add_item(file, kind, yaml_document_get_node(&file->document, *item)))
			return false;
	}
	return true;
}

/* The kind of items of which this is the list. NULL: none. */
static const struct item_kind *kind_of_list(const char *key)
{
	const struct item_kind *kind;
	for (size_t i = 0; (kind = item_kind_at(i)) != NULL; i++) {
		if (strcmp(kind->list, key) == 0)
			return kind;
	}
	return NULL;
}

/* ---- `cluster`, whose keys are the options that begin with its name ---- */

#define CLUSTER_KEY "cluster"

static bool set_cluster_pair(struct config_file *file, const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
	char name[64];
	if (key->type != YAML_SCALAR_NODE)
		return config_complain(file, key, CLUSTER_KEY, "a key is wanted here");
	if (was_before(file, mapping, pair))
		return config_complain(file, key, scalar_text(key), "the key appears for the second time");
	bool is_node = strcmp(scalar_text(key), "node") == 0;
	int size = snprintf(name, sizeof(name), "%s%s", is_node ? "" : CLUSTER_KEY "_", scalar_text(key));
	const struct option_spec *spec = size < (int)sizeof(name) ? option_find(name) : NULL;
	if (spec == NULL)
		return config_complain(file, key, scalar_text(key),
				       "a cluster has no such key; it has those of the options that begin with "
				       "cluster_, without that, and node");
	if (file->options->lines[option_place(spec)] != 0)
		return config_complain(file, key, scalar_text(key), "the option was set before");
	file->options->lines[option_place(spec)] = (uint32_t)key->start_mark.line + 1;
	return set_value(file, spec, scalar_text(key), FOR_ALL, yaml_document_get_node(&file->document, pair->value));
}

static bool set_cluster(struct config_file *file, const yaml_node_t *value)
{
	if (value->type != YAML_MAPPING_NODE)
		return config_complain(file, value, CLUSTER_KEY,
				       "a mapping is wanted here, such as \"nats: "
				       "nats://127.0.0.1:4222\" and \"name: home\"");
	for (const yaml_node_pair_t *pair = value->data.mapping.pairs.start; pair < value->data.mapping.pairs.top;
	     pair++) {
		if (!set_cluster_pair(file, value, pair))
			return false;
	}
	return true;
}

/* ---- the document ---- */

static bool set_pair(struct config_file *file, const yaml_node_t *key, const yaml_node_t *value)
{
	if (key->type != YAML_SCALAR_NODE)
		return config_complain(file, key, "", "a key is wanted here");
	const struct item_kind *kind = kind_of_list(scalar_text(key));
	if (kind != NULL)
		return set_items(file, kind, value);
	if (strcmp(scalar_text(key), CLUSTER_KEY) == 0)
		return set_cluster(file, value);
	const struct option_spec *spec = option_find(scalar_text(key));
	if (spec == NULL)
		return config_complain(file, key, scalar_text(key),
				       "there is no such key; `roost serve --help` lists them");
	file->options->lines[option_place(spec)] = (uint32_t)key->start_mark.line + 1;
	if (spec == option_find("listen"))
		return set_listen(file, spec, scalar_text(key), value);
	return set_value(file, spec, scalar_text(key), FOR_ALL, value);
}

static bool read_document(struct config_file *file)
{
	const yaml_node_t *root = yaml_document_get_root_node(&file->document);
	if (root == NULL)
		return true; /* an empty file changes nothing */
	if (root->type != YAML_MAPPING_NODE)
		return config_complain(file, root, "", "a mapping of keys to values is wanted here");
	for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
		if (was_before(file, root, pair))
			return config_complain(file, key, scalar_text(key), "the key appears for the second time");
		if (!set_pair(file, key, yaml_document_get_node(&file->document, pair->value)))
			return false;
	}
	return true;
}

/* A second document must not be ignored silently. */
static bool is_last_document(struct config_file *file, yaml_parser_t *parser)
{
	if (!yaml_parser_load(parser, &file->document)) {
		fprintf(file->faults, "roost: %s:%zu: %s\n", file->path, parser->problem_mark.line + 1,
			parser->problem != NULL ? parser->problem : "not YAML");
		return false;
	}
	const yaml_node_t *root = yaml_document_get_root_node(&file->document);
	bool last = root == NULL || config_complain(file, root, "", "a second document begins here; only one is read");
	yaml_document_delete(&file->document);
	return last;
}

bool config_file_read(const char *path, struct options *options, FILE *faults)
{
	struct config_file file = {.path = path, .options = options, .faults = faults};
	FILE *stream = fopen(path, "r");
	if (stream == NULL) {
		fprintf(faults, "roost: %s: %s\n", path, strerror(errno));
		return false;
	}
	yaml_parser_t parser;
	bool read = false;
	if (yaml_parser_initialize(&parser)) {
		yaml_parser_set_input_file(&parser, stream);
		if (yaml_parser_load(&parser, &file.document)) {
			read = read_document(&file);
			yaml_document_delete(&file.document);
			read = read && is_last_document(&file, &parser);
		} else {
			fprintf(faults, "roost: %s:%zu: %s\n", path, parser.problem_mark.line + 1,
				parser.problem != NULL ? parser.problem : "not YAML");
		}
		yaml_parser_delete(&parser);
	}
	fclose(stream);
	return read;
}
