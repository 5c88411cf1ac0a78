package api

import (
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
)

// olderDescription is the same description in OpenAPI 3.0.3, for generators of
// clients that don't read 3.1 yet.
func olderDescription(document *huma.OpenAPI) ([]byte, error) {
	older, err := document.Downgrade()
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(older, &v); err != nil {
		return nil, fmt.Errorf("read what was written as 3.0.3: %w", err)
	}
	return json.Marshal(withoutNullType(v))
}

// withoutNullType writes "this object, or null" as OpenAPI 3.0 does, which has
// no type of null and lets nothing stand beside a reference.
func withoutNullType(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutNullType(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withoutNullType(v[name])
		}
		if one, ok := orNullType(v["oneOf"]); ok {
			delete(v, "oneOf")
			v["allOf"], v["nullable"] = []any{one}, true
		}
	}
	return v
}

// orNullType finds the schema of which a oneOf says that it may be null as well.
func orNullType(oneOf any) (any, bool) {
	both, ok := oneOf.([]any)
	if !ok || len(both) != 2 {
		return nil, false
	}
	second, ok := both[1].(map[string]any)
	return both[0], ok && second["type"] == "null"
}
