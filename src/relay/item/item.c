#include "relay/item/item.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool item_fault(char fault[ITEM_FAULT_BYTES_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault, ITEM_FAULT_BYTES_MAX, format, arguments);
	va_end(arguments);
	/* It is one line, whatever the text that it quotes. */
	for (char *at = fault; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			*at = '?';
	}
	return false;
}

bool item_set_name(char name[ITEM_NAME_BYTES_MAX], const char *text, char fault[ITEM_FAULT_BYTES_MAX])
{
	size_t size = strlen(text);
	if (size == 0 || size >= ITEM_NAME_BYTES_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size)
		return item_fault(fault, "\"%.64s\" is not a name of 1 to %u letters of a-z, 0-9, _ and -", text,
				  ITEM_NAME_BYTES_MAX - 1);
	memcpy(name, text, size + 1);
	return true;
}

bool item_set_number(uint32_t *number, const char *text, uint32_t least, uint32_t most,
		     char fault[ITEM_FAULT_BYTES_MAX])
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
		return item_fault(fault, "\"%.64s\" is not a number from %u to %u", text, least, most);
	*number = (uint32_t)value;
	return true;
}

bool item_set_switch(bool *on, const char *text, char fault[ITEM_FAULT_BYTES_MAX])
{
	bool is_true = strcmp(text, "true") == 0;
	if (!is_true && strcmp(text, "false") != 0)
		return item_fault(fault, "\"%.64s\" is neither true nor false", text);
	*on = is_true;
	return true;
}

bool item_set_text(char *copy, size_t size, const char *text, char fault[ITEM_FAULT_BYTES_MAX])
{
	size_t bytes = strlen(text);
	if (bytes == 0 || bytes >= size)
		return item_fault(fault, "a text of %zu bytes, where 1 to %zu are taken", bytes, size - 1);
	memcpy(copy, text, bytes + 1);
	return true;
}

size_t item_client_id(const char *prefix, const char *name, char id[ITEM_CLIENT_BYTES_MAX])
{
	int size = snprintf(id, ITEM_CLIENT_BYTES_MAX, "%s%s", prefix, name);
	CHECK(size > 0 && (size_t)size < ITEM_CLIENT_BYTES_MAX);
	return (size_t)size;
}

const struct item_key *item_key_find(const struct item_key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}
