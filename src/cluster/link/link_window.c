#include "cluster/link/link_window.h"

#include "base/check.h"

#include <stdlib.h>

struct link_datagram *link_take_spare(struct link *link)
{
	struct link_datagram *datagram = link->spares;
	CHECK(datagram != NULL && link->spare_count > 0);
	link->spares = datagram->next;
	link->spare_count--;
	return datagram;
}

void link_give_spare(struct link *link, struct link_datagram *datagram)
{
	datagram->next = link->spares;
	link->spares = datagram;
	link->spare_count++;
}

bool link_reserve_spares(struct link *link, size_t count)
{
	uint32_t before = link->spare_count;
	while (link->spare_count < count) {
		struct link_datagram *datagram = malloc(sizeof(*datagram) + link->limits.datagram_bytes);
		if (datagram == NULL) {
			while (link->spare_count > before)
				free(link_take_spare(link));
			return false;
		}
		link_give_spare(link, datagram);
	}
	return true;
}

void link_go_back(struct link *link, uint64_t now_ms)
{
	link->cursor = link->oldest;
	link->flight_bytes = 0;
	link->retry_at_ms = 0;
	link->rewound_sequence = link->oldest != NULL ? link->oldest->sequence : 0;
	link->rewound_ms = now_ms;
}
