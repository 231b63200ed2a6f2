/* The second stage of the RP2040's boot: what its boot ROM loads from the first 256 bytes of the flash, checks, and
 * starts (RP2040 Datasheet, section 2.8.1.3). It makes the flash chip (a W25Q16JV on the Pico; most that know EBh and
 * have QE in bit 1 of status register 2) readable in the address space on four data lines, then starts the image after it.
 *
 * The ROM wants a CRC of the first 252 bytes in the last four. Assemblers can't read back what they have assembled, so
 * that each instruction is given as the 16 bits that it is, with its meaning beside it, and counted into the CRC. Registers:
 * Datasheet sections 4.10 (SSI), 2.19.6.3 (PADS_QSPI); flash commands: W25Q16JV data sheet, chapter 8. */

/* CRC-32 with the polynomial 04C11DB7, most significant bit first, from FFFFFFFF on, nothing inverted at the end
 * (Datasheet section 2.8.1.3.1). */
    .set crc, 0xFFFFFFFF
    .set length, 0

.macro crc_byte value
    .set crc, crc ^ ((\value) << 24)
    .rept 8
    .set crc, ((crc << 1) ^ (0x04C11DB7 * ((crc >> 31) & 1))) & 0xFFFFFFFF
    .endr
.endm

.macro op value
    .hword \value
    crc_byte (\value) & 0xFF
    crc_byte (\value) >> 8
    .set length, length + 2
.endm

    .syntax unified
    .section .boot2, "a"
    .global boot2
    .type boot2, %object
boot2:
/* r3: the SSI, which reads the flash; r4 = 0, r5 = 1 */
op 0x4b25 /* ldr r3, [pc, #0x94] */
op 0x2400 /* movs r4, #0 */
op 0x2501 /* movs r5, #1 */
/* SSIENR = 0: settings may change only while it is off */
op 0x609c /* str r4, [r3, #8] */
/* BAUDR = 2: half of the core's clock */
op 0x2002 /* movs r0, #2 */
op 0x6158 /* str r0, [r3, #0x14] */
/* RX_SAMPLE_DLY = 1: data are taken one core cycle later, as half the clock needs it; SER = 1: the one flash chip */
op 0x21f0 /* movs r1, #0xf0 */
op 0x505d /* str r5, [r3, r1] */
op 0x611d /* str r5, [r3, #0x10] */
/* CTRLR0: frames of 8 bits, one data line, both directions */
op 0x4822 /* ldr r0, [pc, #0x88] */
op 0x6018 /* str r0, [r3] */
/* pads: the clock at 8 mA and fast, the data lines without hysteresis */
op 0x4a22 /* ldr r2, [pc, #0x88] */
op 0x2021 /* movs r0, #0x21 */
op 0x6050 /* str r0, [r2, #4] */
op 0x6890 /* ldr r0, [r2, #8] */
op 0x2102 /* movs r1, #2 */
op 0x4388 /* bics r0, r1 */
op 0x6090 /* str r0, [r2, #8] */
op 0x60d0 /* str r0, [r2, #0xc] */
op 0x6110 /* str r0, [r2, #0x10] */
op 0x6150 /* str r0, [r2, #0x14] */
/* on; read status register 2 (35h), of whose two bytes the second is the answer */
op 0x609d /* str r5, [r3, #8] */
op 0x2035 /* movs r0, #0x35 */
op 0x6618 /* str r0, [r3, #0x60] */
op 0x661c /* str r4, [r3, #0x60] */
op 0xf000 /* bl #0x8a */
op 0xf82a
op 0x6e18 /* ldr r0, [r3, #0x60] */
op 0x6e1e /* ldr r6, [r3, #0x60] */
/* unless its bit 1 (QE: four data lines) is set, set it until power goes: write enable for the volatile register (50h),
 * then write status register 2 (31h) */
op 0x2002 /* movs r0, #2 */
op 0x4206 /* tst r6, r0 */
op 0xd10a /* bne #0x56 */
op 0x4306 /* orrs r6, r0 */
op 0x2050 /* movs r0, #0x50 */
op 0x6618 /* str r0, [r3, #0x60] */
op 0xf000 /* bl #0x8a */
op 0xf820
op 0x6e18 /* ldr r0, [r3, #0x60] */
op 0x2031 /* movs r0, #0x31 */
op 0x6618 /* str r0, [r3, #0x60] */
op 0x661e /* str r6, [r3, #0x60] */
op 0xf000 /* bl #0x8a */
op 0xf81a
/* quad: CTRLR0: frames of 32 bits, four data lines, read after instruction and address */
op 0x609c /* str r4, [r3, #8] */
op 0x4812 /* ldr r0, [pc, #0x48] */
op 0x6018 /* str r0, [r3] */
op 0x605c /* str r4, [r3, #4] */
/* SPI_CTRLR0: first the instruction on one line, then 24 bits of address and 8 of mode on four, 4 cycles of pause */
op 0x21f4 /* movs r1, #0xf4 */
op 0x4811 /* ldr r0, [pc, #0x44] */
op 0x5058 /* str r0, [r3, r1] */
/* on; fast read quad I/O (EBh) at address 0 with mode A0h: from now on the flash takes addresses without instruction */
op 0x609d /* str r5, [r3, #8] */
op 0x20eb /* movs r0, #0xeb */
op 0x6618 /* str r0, [r3, #0x60] */
op 0x20a0 /* movs r0, #0xa0 */
op 0x6618 /* str r0, [r3, #0x60] */
op 0xf000 /* bl #0x8a */
op 0xf80c
/* off, and the same without instruction: address, mode A0h, 4 cycles of pause; on: the flash is in the address space */
op 0x609c /* str r4, [r3, #8] */
op 0x480d /* ldr r0, [pc, #0x34] */
op 0x5058 /* str r0, [r3, r1] */
op 0x609d /* str r5, [r3, #8] */
/* VTOR = the image's vector table; its stack pointer; its reset handler */
op 0x480d /* ldr r0, [pc, #0x34] */
op 0x490d /* ldr r1, [pc, #0x34] */
op 0x6001 /* str r1, [r0] */
op 0x6808 /* ldr r0, [r1] */
op 0xf380 /* msr msp, r0 */
op 0x8808
op 0x6848 /* ldr r0, [r1, #4] */
op 0x4700 /* bx r0 */
/* finish: until all is sent and the chip no longer selected (SR: transmit FIFO empty, not busy) */
op 0x6a98 /* ldr r0, [r3, #0x28] */
op 0x2205 /* movs r2, #5 */
op 0x4010 /* ands r0, r2 */
op 0x2804 /* cmp r0, #4 */
op 0xd1fa /* bne #0x8a */
op 0x4770 /* bx lr */
op 0x46c0 /* mov r8, r8 */
/* constants */
op 0x0000 /* the SSI: 0x18000000 */
op 0x1800
op 0x0000 /* CTRLR0 for commands: 0x00070000 */
op 0x0007
op 0x0000 /* PADS_QSPI: 0x40020000 */
op 0x4002
op 0x0300 /* CTRLR0 for reading: 0x005f0300 */
op 0x005f
op 0x2221 /* SPI_CTRLR0 for the first read: 0x00002221 */
op 0x0000
op 0x2022 /* SPI_CTRLR0 for all others: 0xa0002022 */
op 0xa000
op 0xed08 /* VTOR: 0xe000ed08 */
op 0xe000
op 0x0100 /* the image's vector table: 0x10000100 */
op 0x1000

.rept (252 - length) / 2
op 0x0000
.endr
    .word crc
    .size boot2, 256
