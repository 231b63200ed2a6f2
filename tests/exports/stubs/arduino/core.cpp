#include "Arduino.h"

SerialPort Serial;
unsigned long millis() { return 0; }
int main() {
  setup();
  loop();
}
