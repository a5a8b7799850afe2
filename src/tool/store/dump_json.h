/* Records and the model as lines of JSON. A text that is not UTF-8 stands in hexadecimal under its name with "_hex". */
#ifndef TOOL_STORE_DUMP_JSON_H
#define TOOL_STORE_DUMP_JSON_H

#include "tool/store/opened.h"

#include <stdio.h>

void dump_json_record(FILE *out, uint64_t commit, uint16_t shard, const struct store_record *record,
		      struct store_place place);
/* Reads the bodies for their topics. False: one could not be read, which was said. */
bool dump_json_model(FILE *out, struct opened_store *store);

#endif
