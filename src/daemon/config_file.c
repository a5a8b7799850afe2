#include "daemon/config_file.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

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

static bool set_scalar(struct config_file *file, const struct option_spec *spec, const char *key,
		       const yaml_node_t *value)
{
	CHECK(!option_is_list(spec) || file->options->lines[option_place(spec)] != 0);
	char fault[OPTION_FAULT_BYTES_MAX];
	if (value->type != YAML_SCALAR_NODE)
		return config_complain(file, value, key, "a single value is wanted here");
	if (strlen(scalar_text(value)) != value->data.scalar.length)
		return config_complain(file, value, key, "the value contains a null character");
	if (!option_set(spec, file->options, scalar_text(value), fault))
		return config_complain(file, value, key, fault);
	return true;
}

static bool set_list(struct config_file *file, const struct option_spec *spec, const char *key,
		     const yaml_node_t *value)
{
	if (value->type != YAML_SEQUENCE_NODE)
		return config_complain(file, value, key,
				       "a list is wanted here, with a line such as \"- value\" for each value");
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		if (!set_scalar(file, spec, key, yaml_document_get_node(&file->document, *item)))
			return false;
	}
	return true;
}

static bool set_pair(struct config_file *file, const yaml_node_t *key, const yaml_node_t *value)
{
	if (key->type != YAML_SCALAR_NODE)
		return config_complain(file, key, "", "a key is wanted here");
	const struct option_spec *spec = option_find(scalar_text(key));
	if (spec == NULL)
		return config_complain(file, key, scalar_text(key),
				       "there is no such key; `roost serve --help` lists them");
	file->options->lines[option_place(spec)] = (uint32_t)key->start_mark.line + 1;
	return option_is_list(spec) ? set_list(file, spec, scalar_text(key), value)
				    : set_scalar(file, spec, scalar_text(key), value);
}

static bool was_before(struct config_file *file, const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
	for (const yaml_node_pair_t *other = mapping->data.mapping.pairs.start; other < pair; other++) {
		const yaml_node_t *earlier = yaml_document_get_node(&file->document, other->key);
		if (key->type == YAML_SCALAR_NODE && option_find(scalar_text(key)) != NULL &&
		    option_find(scalar_text(key)) == option_find(scalar_text(earlier)))
			return true;
	}
	return false;
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
