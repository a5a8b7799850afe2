/* Single properties into a packet that is being written. For encoders. */
#ifndef MQTT_PROPERTY_WRITE_H
#define MQTT_PROPERTY_WRITE_H

#include "mqtt/field/property.h"
#include "mqtt/field/writer.h"

static inline void property_write_u8(struct writer *writer, enum mqtt_property_id id, uint8_t value)
{
	writer_u8(writer, (uint8_t)id);
	writer_u8(writer, value);
}

static inline void property_write_u16(struct writer *writer, enum mqtt_property_id id, uint16_t value)
{
	writer_u8(writer, (uint8_t)id);
	writer_u16(writer, value);
}

static inline void property_write_u32(struct writer *writer, enum mqtt_property_id id, uint32_t value)
{
	writer_u8(writer, (uint8_t)id);
	writer_u32(writer, value);
}

static inline void property_write_varint(struct writer *writer, enum mqtt_property_id id, uint32_t value)
{
	writer_u8(writer, (uint8_t)id);
	writer_varint(writer, value);
}

/* Binary data and strings. */
static inline void property_write_binary(struct writer *writer, enum mqtt_property_id id, struct slice data)
{
	writer_u8(writer, (uint8_t)id);
	writer_binary(writer, data);
}

#endif
