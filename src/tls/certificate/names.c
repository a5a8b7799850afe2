#include "tls/certificate/names.h"

#include "base/check.h"

#include <stdlib.h>

struct entry_of_name {
	struct slice name; /* in lower case; memory of its own */
	uint16_t identities;
};

struct tls_names {
	struct entry_of_name *entries;
	size_t count;
};

static char lower_of(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

struct tls_names *tls_names_new(void)
{
	return calloc(1, sizeof(struct tls_names));
}

void tls_names_free(struct tls_names *names)
{
	if (names == NULL)
		return;
	for (size_t i = 0; i < names->count; i++)
		free((void *)(uintptr_t)names->entries[i].name.data);
	free(names->entries);
	free(names);
}

/* Its list is walked for each handshake: certificates have a handful of names, at most some hundred. */
static struct entry_of_name *find_name(const struct tls_names *names, struct slice name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (slice_equal(names->entries[i].name, name))
			return &names->entries[i];
	}
	return NULL;
}

static bool add_one(struct tls_names *names, struct slice name, unsigned identity)
{
	struct entry_of_name *entry = find_name(names, name);
	if (entry == NULL) {
		struct entry_of_name *more = realloc(names->entries, (names->count + 1) * sizeof(*more));
		if (more == NULL)
			return false;
		names->entries = more;
		uint8_t *copy = malloc(name.size);
		if (copy == NULL)
			return false;
		memcpy(copy, name.data, name.size);
		entry = &names->entries[names->count++];
		*entry = (struct entry_of_name){.name = slice_of(copy, name.size)};
	}
	entry->identities = (uint16_t)(entry->identities | 1u << identity);
	return true;
}

bool tls_names_add(struct tls_names *names, const char *list, unsigned identity)
{
	CHECK_LT(identity, TLS_NAMES_IDENTITIES_MAX);
	while (*list != '\0') {
		size_t size = strcspn(list, ",");
		if (size > 0 && !add_one(names, slice_of(list, size), identity))
			return false;
		list += size + strspn(list + size, ", ");
	}
	return true;
}

uint16_t tls_names_find(const struct tls_names *names, struct slice host)
{
	char lower[256];
	if (host.size > 0 && host.data[host.size - 1] == '.') /* the root's dot says nothing */
		host.size--;
	if (host.size == 0 || host.size >= sizeof(lower) || host.data[0] == '*')
		return 0;
	for (size_t i = 0; i < host.size; i++)
		lower[i] = lower_of(host.data[i]);
	const struct entry_of_name *entry = find_name(names, slice_of(lower, host.size));
	if (entry != NULL)
		return entry->identities;
	/* a.example.com -> *.example.com, in place: the label's last byte becomes the star. */
	char *dot = memchr(lower, '.', host.size);
	if (dot == NULL || dot == lower)
		return 0;
	dot[-1] = '*';
	entry = find_name(names, slice_of(dot - 1, host.size - (size_t)(dot - 1 - lower)));
	return entry == NULL ? 0 : entry->identities;
}

uint16_t tls_names_with(const struct tls_names *names, struct slice name)
{
	const struct entry_of_name *entry = find_name(names, name);
	return entry == NULL ? 0 : entry->identities;
}

uint16_t tls_names_set(const struct tls_names *names, size_t number)
{
	return number < names->count ? names->entries[number].identities : 0;
}
