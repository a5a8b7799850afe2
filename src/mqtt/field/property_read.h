/* The properties of a packet that is being read [2.2.2]. For decoders. */
#ifndef MQTT_PROPERTY_READ_H
#define MQTT_PROPERTY_READ_H

#include "mqtt/field/property.h"
#include "mqtt/field/reader.h"

/* Property Length and that many bytes, not yet looked into [2.2.2.1]. */
static inline struct slice reader_properties(struct reader *reader)
{
	uint32_t size = reader_varint(reader);
	if (size > reader->rest.size)
		reader_fail(reader, ERROR_PROPERTY_LENGTH);
	return reader_bytes(reader, reader->error == ERROR_OK ? size : 0);
}

/* The next property of the walk; false at its end, and at its first fault, which becomes the reader's. */
static inline bool reader_property(struct reader *reader, struct mqtt_property_walk *walk, struct mqtt_property *out)
{
	enum error error = mqtt_property_walk_next(walk, out);
	if (error != ERROR_OK && error != ERROR_MORE)
		reader_fail(reader, error);
	return error == ERROR_OK;
}

/* For the packets whose properties hold nothing that the decoded struct wants to itself. */
static inline struct slice reader_properties_checked(struct reader *reader, uint8_t packet)
{
	struct slice properties = reader_properties(reader);
	enum error error = mqtt_properties_check(properties, packet);
	if (error != ERROR_OK)
		reader_fail(reader, error);
	return properties;
}

#endif
