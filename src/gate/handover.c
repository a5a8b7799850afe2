#include "gate/handover.h"

void gate_batch_add(struct gate *gate, uint16_t shard, int fd, struct admission *admission)
{
	CHECK_LT(shard, gate->shard_count);
	struct gate_batch *batch = &gate->batches[shard];
	CHECK_LT(batch->count, FDPASS_BATCH_MAX);
	batch->fds[batch->count] = fd;
	batch->admissions[batch->count++] = admission;
	gate->batched++;
	batch->bytes += admission_bytes(admission);
	gate->batched_bytes += admission_bytes(admission);
}

bool gate_batch_send(struct gate *gate, uint16_t shard)
{
	struct gate_batch *batch = &gate->batches[shard];
	if (batch->count == 0)
		return true;
	enum error error = fdpass_send(gate->admission_fds[shard], batch->fds, batch->count, batch->admissions,
				       batch->count * sizeof(batch->admissions[0]));
	if (error == ERROR_MORE)
		return false;
	CHECK(error == ERROR_OK);
	CHECK_GE(gate->batched, batch->count);
	CHECK_GE(gate->batched_bytes, batch->bytes);
	for (uint32_t i = 0; i < batch->count; i++)
		stream_close_descriptor(batch->fds[i]); /* the shard has the socket by now */
	gate->batched -= batch->count;
	gate->batched_bytes -= batch->bytes;
	batch->count = 0;
	batch->bytes = 0;
	return true;
}
