package api

import (
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkStrings walks the input of an operation. A string is one line, without
// control characters, unless its field is tagged lines:"many", where line
// ends and tabs may stand. NUL and broken UTF-8 come through nowhere: no store
// takes them, and no header may be broken by a value.
func checkStrings(in any) error {
	w := walker{}
	w.walk(reflect.ValueOf(in), "", false)
	if len(w.errors) == 0 {
		return nil
	}
	p := newProblem(422, "a field holds characters that it may not")
	p.Errors = w.errors[:min(len(w.errors), maxErrors)]
	return p
}

type walker struct {
	errors []fieldError
}

func (w *walker) walk(v reflect.Value, name string, lines bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			w.walk(v.Elem(), name, lines)
		}
	case reflect.Struct:
		w.walkStruct(v, name, lines)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // raw bytes
		}
		for i := range v.Len() {
			w.walk(v.Index(i), name+"["+strconv.Itoa(i)+"]", lines)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			w.walk(key, name, false)
			w.walk(v.MapIndex(key), name, lines)
		}
	case reflect.String:
		if message := refuse(v.String(), lines); message != "" {
			w.errors = append(w.errors, fieldError{Field: name, Message: message})
		}
	}
}

func (w *walker) walkStruct(v reflect.Value, name string, lines bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		w.walk(v.Field(i), join(name, field), lines || field.Tag.Get("lines") == "many")
	}
}

// join names a field as the client wrote it. Bodies, embedded structs and the
// value inside an opt have no name of their own.
func join(name string, field reflect.StructField) string {
	own := ""
	for _, tag := range []string{"json", "query", "path", "header"} {
		if value, _, _ := strings.Cut(field.Tag.Get(tag), ","); value != "" {
			own = value
			break
		}
	}
	if name == "" || own == "" {
		return name + own
	}
	return name + "." + own
}

// refuse says what is wrong with the characters of s, or "".
func refuse(s string, lines bool) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if lines && (r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 {
			return "holds a control character"
		}
	}
	return ""
}
