/* The text of another program's layout. Whatever it says, a plan has only moves within the objects that it names, and
 * is carried out on such objects. An input is patches of this program's own text, or a text of its own. */
#include "fuzz.h"

#include "layout/conversion.h"
#include "layout/memory_layout.h"

#include <string.h>

static void carry_out(const struct layout_conversion *made)
{
	for (uint32_t i = 0; i < made->conversion.type_count; i++) {
		const struct convert_type *type = &made->conversion.types[i];
		uint8_t *from = block_new(type->from_bytes);
		uint8_t *to = block_new(type->to_bytes);
		memset(from, 0xff, type->from_bytes);
		memset(to, 0, type->to_bytes);
		convert_object(type, from, to);
		free(from);
		free(to);
	}
	for (uint32_t i = 0; i < made->conversion.rule_count; i++)
		CHECK_LT(made->conversion.rules[i].type, made->conversion.type_count);
	for (uint32_t i = 0; i < made->conversion.block_count; i++) {
		const struct convert_block *block = &made->conversion.blocks[i];
		CHECK_LT(block->type, made->conversion.type_count);
		CHECK(!block->has_tail || block->from_tail <= made->types[block->type].from_bytes);
	}
}

/* Two bytes of place, one of length, and the bytes. */
static char *patched(const uint8_t *data, size_t size)
{
	char *text = strdup(memory_layout_text());
	CHECK(text != NULL);
	size_t bytes = strlen(text);
	while (size >= 3) {
		size_t at = ((size_t)data[0] << 8 | data[1]) % bytes;
		size_t count = data[2] % 16u;
		data += 3;
		size -= 3;
		if (count > size)
			count = size;
		if (count > bytes - at)
			count = bytes - at;
		memcpy(text + at, data, count);
		data += count;
		size -= count;
	}
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct layout_conversion made;
	char sentence[300];
	if (size == 0)
		return 0;
	char *text = data[0] % 2 == 0 ? patched(data + 1, size - 1) : calloc(size, 1);
	CHECK(text != NULL);
	if (data[0] % 2 != 0)
		memcpy(text, data + 1, size - 1);
	if (layout_conversion_make(&made, text, MEMORY_LAYOUT_VERSION, sentence, sizeof(sentence)))
		carry_out(&made);
	else
		CHECK(sentence[0] != '\0');
	free(text);
	return 0;
}
