package offering

import (
	"reflect"
	"slices"
)

// Fields are the names of every field that an offering.yaml and an example may have.
func Fields() []string {
	names := []string{"counted", "free", "of", "makes", "connection", "query", "arguments", "counts", "unused_after", "below", "kind", "monthly_cost", "label"} // read by hand
	var add func(reflect.Type)
	add = func(t reflect.Type) {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[contract]().PkgPath() && t.Name() != "" {
			return
		}
		for i := range t.NumField() {
			if name := t.Field(i).Tag.Get("yaml"); name != "" {
				names = append(names, name)
				add(t.Field(i).Type)
			}
		}
	}
	add(reflect.TypeFor[contract]())
	add(reflect.TypeFor[example]())
	slices.Sort(names)
	return slices.Compact(names)
}
