// A stand-in for an Arduino core on this computer: what the exported sketch uses of it.
#pragma once
#include <stdint.h>

#include <cstdio>

struct SerialPort {
  void begin(unsigned long) {}
  explicit operator bool() const { return true; }
  void print(const char *text) { std::printf("%s", text); }
  void print(char c) { std::printf("%c", c); }
  void print(long value) { std::printf("%ld", value); }
  void print(double value, int digits) { std::printf("%.*f", digits, value); }
  void println(const char *text) { std::printf("%s\n", text); }
};
extern SerialPort Serial;
unsigned long millis();
void setup();
void loop();
