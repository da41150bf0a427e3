package settings

import (
	"fmt"
	"reflect"
)

// Flags returns a pointer to a struct with one string field for every setting
// that has a flag, tagged as the command-line parser wants it (name, help,
// placeholder), and a function that returns the flags that were given, for
// Sources.Flags.
func Flags() (target any, given func() map[string]string) {
	var members []reflect.StructField
	var keys []string
	for _, f := range Fields() {
		if f.Flag == "" {
			continue
		}
		keys = append(keys, f.Key)
		members = append(members, reflect.StructField{
			Name: fmt.Sprintf("Flag%d", len(members)),
			Type: reflect.TypeFor[*string](),
			Tag:  reflect.StructTag(fmt.Sprintf(`name:%q help:%q placeholder:"VALUE"`, f.Flag, f.Help)),
		})
	}
	flags := reflect.New(reflect.StructOf(members))
	return flags.Interface(), func() map[string]string {
		texts := make(map[string]string)
		for i, key := range keys {
			if text, ok := flags.Elem().Field(i).Interface().(*string); ok && text != nil {
				texts[key] = *text
			}
		}
		return texts
	}
}
