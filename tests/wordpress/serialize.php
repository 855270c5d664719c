<?php
/**
 * Reads serialized values, one a line in base64, and writes each again as PHP itself would.
 *
 * A value that PHP refuses gives an empty line.
 */

while ( false !== ( $line = fgets( STDIN ) ) ) {
	$text  = base64_decode( $line, true );
	$value = @unserialize( $text, array( 'allowed_classes' => false ) );
	$valid = false !== $value || 'b:0;' === $text;
	echo $valid ? base64_encode( serialize( $value ) ) : '', "\n";
}
