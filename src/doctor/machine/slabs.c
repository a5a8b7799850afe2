#include "doctor/machine/slabs.h"

#include "base/check.h"
#include "doctor/machine/reading.h"
#include "doctor/machine/text.h"

/* A line with other fields than these is not believed: a slab has at most 2^10 pages, and holds at least one object. */
#define PAGES_MAX 1024u

/* name active_objs num_objs objsize objperslab pagesperslab, slabinfo(5) */
static bool parse_cache(struct slice line, uint32_t page_bytes, struct slab_cache *cache)
{
	struct slice name;
	struct reading fields[5];
	struct slice rest = line;
	if (!text_word(&rest, &name) || name.size >= SLAB_NAME_BYTES || name.data[0] == '#')
		return false;
	for (uint32_t i = 0; i < 5; i++) {
		fields[i] = reading_word(rest, i);
		if (fields[i].state != READING_KNOWN)
			return false;
	}
	uint64_t each = fields[3].value;
	uint64_t pages = fields[4].value;
	if (each == 0 || pages == 0 || pages > PAGES_MAX || each > pages * page_bytes)
		return false;
	text_copy(name, cache->name, sizeof(cache->name));
	cache->objects = fields[0].value;
	cache->bytes_each = (double)(pages * page_bytes) / (double)each;
	return true;
}

static const struct slab_cache *find(const struct slabs *slabs, const char *name)
{
	for (uint32_t i = 0; i < slabs->count; i++) {
		if (strcmp(slabs->caches[i].name, name) == 0)
			return &slabs->caches[i];
	}
	return NULL;
}

void slabs_parse(struct slabs *slabs, struct slice text, uint32_t page_bytes)
{
	CHECK(page_bytes > 0);
	struct slice line;
	slabs->count = 0;
	while (slabs->count < SLABS_MAX && text_line(&text, &line)) {
		struct slab_cache *next = &slabs->caches[slabs->count];
		if (parse_cache(line, page_bytes, next) && find(slabs, next->name) == NULL)
			slabs->count++;
	}
}

uint64_t slabs_socket_bytes(const struct slabs *slabs)
{
	/* The kernel merges caches of the same size under the name of one of them. A cache that is not listed counts
	 * with its size on x86-64, Linux 6. The socket itself and its inode are never merged, because of what the
	 * kernel promises about their memory. */
	static const struct {
		const char *name;
		double otherwise;
	} PARTS[] = {
		{"TCP", 0},
		{"sock_inode_cache", 0},
		{"dentry", 192},
		{"filp", 192},
		{"eventpoll_epi", 128},
		{"eventpoll_pwq", 64},
		{"kmalloc-rcl-64", 64}, /* small parts: security labels, the socket's wait queue */
	};
	double sum = 0;
	for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
		const struct slab_cache *cache = find(slabs, PARTS[i].name);
		if (cache == NULL && PARTS[i].otherwise == 0)
			return 0;
		sum += cache != NULL ? cache->bytes_each : PARTS[i].otherwise;
	}
	return (uint64_t)(sum + 0.5);
}

double slabs_growth_bytes(const struct slabs *before, const struct slabs *after, uint64_t sockets)
{
	CHECK(sockets > 0 && after->count <= SLABS_MAX);
	double sum = 0;
	for (uint32_t i = 0; i < after->count; i++) {
		const struct slab_cache *now = &after->caches[i];
		const struct slab_cache *then = find(before, now->name);
		uint64_t objects = then != NULL ? then->objects : 0;
		if (now->objects > objects && now->objects - objects >= (sockets + 1) / 2)
			sum += (double)(now->objects - objects) * now->bytes_each;
	}
	return sum;
}
