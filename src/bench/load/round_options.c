#include "bench/load/round_options.h"

#include "bench/measure/stamp.h"
#include "bench/options/options.h"

#define PAYLOAD_BYTES_MAX 65536u

bool round_option_take(struct load_round *round, int option, const char *text, bool *known)
{
	struct load_plan *load = &round->load;
	*known = true;
	switch (option) {
	case ROUND_PUBLISHERS:
		return option_u32("--publishers", text, 1, ROUND_CLIENTS_MAX * 64, &load->publishers);
	case ROUND_SIZE:
		return option_u32("--size", text, STAMP_BYTES, PAYLOAD_BYTES_MAX, &load->size);
	case ROUND_QOS:
		return option_qos("--qos", text, &load->qos);
	case ROUND_VERSION:
		return option_version("--version", text, &round->version);
	case ROUND_DURATION:
		return option_u32("--duration", text, 1, 600, &round->duration_s);
	case ROUND_WARM_UP:
		return option_u32("--warm-up", text, 0, 60000, &round->warm_up_ms);
	case ROUND_TOPIC:
		round->topic_prefix = text;
		return option_prefix("--topic-prefix", text, CLIENT_PREFIX_BYTES_MAX);
	case ROUND_CLIENT:
		round->client_prefix = text;
		return option_prefix("--client-prefix", text, CLIENT_PREFIX_BYTES_MAX);
	default:
		*known = false;
		return true;
	}
}
