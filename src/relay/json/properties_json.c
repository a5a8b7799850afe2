#include "relay/json/properties_json.h"

#include "base/check.h"
#include "mqtt/field/property.h"
#include "relay/json/json_text.h"

#include <stdio.h>

static void append_member(struct bytes *out, const char *name)
{
	bytes_append(out, out->size == 0 ? "{\"" : ",\"", 2);
	bytes_append(out, name, strlen(name));
	bytes_append(out, "\":", 2);
}

static void append_integer(struct bytes *out, const char *name, uint32_t number)
{
	char text[16];
	append_member(out, name);
	bytes_append(out, text, (size_t)snprintf(text, sizeof(text), "%u", number));
}

static void append_property(struct bytes *out, const struct mqtt_property *property)
{
	switch (property->id) {
	case MQTT_PROPERTY_PAYLOAD_FORMAT:
		append_integer(out, "payload_format", property->number);
		break;
	case MQTT_PROPERTY_MESSAGE_EXPIRY:
		append_integer(out, "message_expiry_s", property->number);
		break;
	case MQTT_PROPERTY_CONTENT_TYPE:
		append_member(out, "content_type");
		json_text_append(out, property->data);
		break;
	case MQTT_PROPERTY_RESPONSE_TOPIC:
		append_member(out, "response_topic");
		json_text_append(out, property->data);
		break;
	case MQTT_PROPERTY_CORRELATION_DATA:
		append_member(out, "correlation_data");
		json_text_append_base64(out, property->data);
		break;
	default: /* of the subscription, not of the message; or a user property */
		break;
	}
}

/* They come together, at the end. */
static void append_user_properties(struct bytes *out, struct slice properties)
{
	struct mqtt_property property;
	bool began = false;
	while (properties.size != 0 && mqtt_property_next(&properties, &property) == ERROR_OK) {
		if (property.id != MQTT_PROPERTY_USER_PROPERTY)
			continue;
		if (began)
			bytes_append(out, ",[", 2);
		else {
			append_member(out, "user");
			bytes_append(out, "[[", 2);
		}
		json_text_append(out, property.data);
		bytes_append(out, ",", 1);
		json_text_append(out, property.value);
		bytes_append(out, "]", 1);
		began = true;
	}
	if (began)
		bytes_append(out, "]", 1);
}

void properties_json(struct slice properties, struct bytes *out)
{
	struct slice rest = properties;
	struct mqtt_property property;
	CHECK(out->size == 0);
	while (rest.size != 0 && mqtt_property_next(&rest, &property) == ERROR_OK)
		append_property(out, &property);
	append_user_properties(out, properties);
	if (out->size != 0)
		bytes_append(out, "}", 1);
}
