package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/seal"
)

// Field describes one setting, as the tags of Settings do.
type Field struct {
	Key     string // in the YAML file
	Env     string
	Flag    string // without dashes in front; empty: there is none
	Default string // as an operator reads it
	Help    string
	Bounds  string // such as "From 1 to 4096"; empty: there are none
	Secret  bool

	index    int
	min, max string
	oneOf    []string
}

// Fields lists all settings.
func Fields() []Field {
	t := reflect.TypeFor[Settings]()
	var fields []Field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key, ok := tag.Lookup("key")
		if !ok {
			continue
		}
		f := Field{
			Key: key, Env: tag.Get("env"), Default: tag.Get("default"), Help: tag.Get("help"),
			Secret: tag.Get("secret") != "",
			index:  i, min: tag.Get("min"), max: tag.Get("max"), oneOf: strings.Fields(tag.Get("oneof")),
		}
		if f.Env == "" {
			f.Env = "ORDERPORT_" + strings.ToUpper(key)
		}
		if f.min != "" {
			f.Bounds = fmt.Sprintf("From %s to %s", f.min, f.max)
		}
		if !f.Secret {
			f.Flag = strings.ReplaceAll(key, "_", "-")
		}
		fields = append(fields, f)
	}
	return fields
}

// target returns a pointer to the field in s.
func (f Field) target(s *Settings) any {
	return reflect.ValueOf(s).Elem().Field(f.index).Addr().Interface()
}

// set reads text into the field. The error does not show a secret.
func (f Field) set(s *Settings, text string) error {
	switch t := f.target(s).(type) {
	case *string:
		*t = text
		return f.checkChoice(text)
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("must be a whole number")
		}
		*t = n
		return checkBounds(f, n, strconv.Atoi)
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New(`must be a duration with its unit, such as "30s" or "5m"`)
		}
		*t = d
		return checkBounds(f, d, time.ParseDuration)
	case *slog.Level:
		if err := t.UnmarshalText([]byte(text)); err != nil {
			return errors.New("must be debug, info, warn or error")
		}
		return nil
	case *seal.Key:
		keys, err := parseKeys(text)
		if err == nil && len(keys) != 1 {
			err = errors.New("must be one key")
		}
		if err == nil {
			*t = keys[0]
		}
		return err
	case *[]seal.Key:
		keys, err := parseKeys(text)
		*t = keys
		return err
	default:
		panic(fmt.Sprintf("settings: no way to read a %T", t))
	}
}

func (f Field) checkChoice(text string) error {
	for _, choice := range f.oneOf {
		if text == choice {
			return nil
		}
	}
	if len(f.oneOf) > 0 {
		return fmt.Errorf("must be one of: %s", strings.Join(f.oneOf, ", "))
	}
	return nil
}

func checkBounds[T int | time.Duration](f Field, value T, parse func(string) (T, error)) error {
	low, errLow := parse(f.min)
	high, errHigh := parse(f.max)
	if err := errors.Join(errLow, errHigh); err != nil {
		panic(fmt.Sprintf("settings: bounds of %s: %s", f.Key, err))
	}
	if value < low || value > high {
		return fmt.Errorf("must be from %s to %s", f.min, f.max)
	}
	return nil
}

func parseKeys(text string) ([]seal.Key, error) {
	var keys []seal.Key
	for part := range strings.SplitSeq(text, ",") {
		key, err := seal.ParseKey(part)
		if err != nil {
			return nil, fmt.Errorf("is no key: %s; `orderport key generate` makes one", fault.From(err).Message)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
