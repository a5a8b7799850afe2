#include "base/check.h"
#include "store/format/record.h"

#include <inttypes.h>
#include <stdio.h>

static void format_text(FILE *out, struct slice text)
{
	fputc('"', out);
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		/* UTF-8 goes through; what would break the line or the quotes does not. */
		if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\')
			fprintf(out, "\\x%02x", byte);
		else
			fputc(byte, out);
	}
	fputc('"', out);
}

static void format_value(FILE *out, const struct store_field_value *value)
{
	switch (value->type) {
	case STORE_TYPE_NUMBER:
		fprintf(out, value->field == STORE_FIELD_FLAGS ? "%#" PRIx64 : "%" PRIu64, value->number);
		return;
	case STORE_TYPE_TIME:
		if (value->time_s == STORE_NEVER_S)
			fputs("never", out);
		else
			fprintf(out, "%" PRId64, value->time_s);
		return;
	case STORE_TYPE_HASH:
		fprintf(out, "%016" PRIx64, value->number);
		return;
	case STORE_TYPE_TEXT:
		format_text(out, value->bytes);
		return;
	case STORE_TYPE_BODY:
		fprintf(out, "%zu bytes", value->bytes.size);
		return;
	}
}

void store_record_format(const struct store_record *record, char *text, size_t size)
{
	CHECK_GT(size, 0u);
	text[0] = '\0';
	/* One byte less for the final 0, which a memory stream leaves out where the room is used up. */
	FILE *out = size > 1 ? fmemopen(text, size - 1, "w") : NULL;
	if (out == NULL)
		return;
	setbuf(out, NULL);
	fputs(store_kind_name(record->kind), out);
	struct store_field_value value;
	for (uint32_t next = 0; store_record_field(record, &next, &value);) {
		fprintf(out, " %s ", value.name);
		format_value(out, &value);
	}
	long used = ftell(out);
	fclose(out);
	text[used > 0 && (size_t)used < size ? (size_t)used : size - 1] = '\0';
}
