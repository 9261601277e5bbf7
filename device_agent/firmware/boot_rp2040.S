/* Second stage of the RP2040's boot: sets the flash up for execution in place with the slow read command (03h)
 * that every flash chip knows, and starts the image behind it. The boot ROM copies these 256 bytes into RAM and
 * runs them if their last word is the CRC of the rest; edgepack adds that word.
 *
 * Source: RP2040 Datasheet, "Boot Sequence", "Second Stage" and "SSI: List of Registers".
 */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .ep_boot, "ax"
    .global ep_boot

    .equ SSI, 0x18000000
    .equ CTRLR0, 0x00
    .equ CTRLR1, 0x04
    .equ SSIENR, 0x08
    .equ BAUDR, 0x14
    .equ SPI_CTRLR0, 0xf4

ep_boot:
    ldr r3, =SSI
    movs r1, #0
    str r1, [r3, #SSIENR]           /* off while it is set up */
    movs r1, #4
    str r1, [r3, #BAUDR]            /* a quarter of the system's clock */
    ldr r1, =(31 << 16) | (3 << 8)  /* frames of 32 bits, read as from an EEPROM */
    str r1, [r3, #CTRLR0]
    ldr r1, =(0x03 << 24) | (2 << 8) | (6 << 2) /* command 03h of 8 bits, address of 24 */
    movs r2, #SPI_CTRLR0
    adds r2, r2, r3
    str r1, [r2]
    movs r1, #0
    str r1, [r3, #CTRLR1]           /* one frame a transfer */
    movs r1, #1
    str r1, [r3, #SSIENR]
    ldr r0, =0x10000100             /* the vector table stands behind these 256 bytes */
    ldr r1, =0xe000ed08             /* VTOR */
    str r0, [r1]
    ldmia r0, {r0, r1}
    msr msp, r0
    bx r1
    .pool
