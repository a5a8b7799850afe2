#include "shifted_layout.h"

#include "base/check.h"
#include "layout/memory_layout.h"
#include "layout/type_text.h"

#include <stdio.h>
#include <stdlib.h>

char *shifted_layout_text(void)
{
	static const char *const TYPES[] = {"struct account",
					    "struct extension",
					    "struct principal",
					    "struct ack_line",
					    "struct acl_pool_entry",
					    "struct acl_pool_note",
					    "struct address",
					    "struct client",
					    "struct flow_entry",
					    "struct index_note",
					    "struct index_part_note",
					    "struct messages_note",
					    "struct own_entry",
					    "struct pending_acks_note",
					    "struct proxied",
					    "struct retained_job",
					    "struct retained_jobs_note",
					    "struct retained_node",
					    "struct retained_note",
					    "struct retained_queue",
					    "struct review",
					    "struct subscriber_list",
					    "struct subscription",
					    "struct ticket",
					    "struct tls_streams_note",
					    "struct websocket",
					    "struct websocket_streams_note"};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const char *at = memory_layout_text();
	struct slice name;
	while (type_text_next(&at, &name)) {
		struct type_line line;
		struct type_member member;
		bool is_shifted = false;
		CHECK(type_text_find(memory_layout_text(), name, &line));
		for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
			is_shifted = is_shifted || slice_equal(name, slice_string(TYPES[i]));
		fprintf(out, "%.*s %lu: ", (int)name.size, (const char *)name.data, line.bytes + (is_shifted ? 8 : 0));
		if (!is_shifted) {
			fprintf(out, "%.*s\n", (int)line.members.size, (const char *)line.members.data);
			continue;
		}
		fprintf(out, "reserved@0 u64");
		while (type_text_member(&line.members, &member)) {
			bool is_field = member.bits != 0;
			fprintf(out, "; %.*s@%lu", (int)member.name.size, (const char *)member.name.data,
				is_field ? member.at_bit + 64 : member.at_bit / 8 + 8);
			if (is_field)
				fprintf(out, "b%lu", member.bits);
			fprintf(out, " %.*s", (int)member.word.whole.size, (const char *)member.word.whole.data);
		}
		fprintf(out, "\n");
	}
	CHECK(fclose(out) == 0);
	return text;
}
